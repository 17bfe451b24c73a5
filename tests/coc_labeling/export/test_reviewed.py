import json

import pytest

from builders.exports import MOMENTS_US, experiment, exported
from builders.reviews import answer_for
from coc_labeling.export.sources import Only
from coc_labeling.results import load_labels
from coc_labeling.review.batches.intake import add_run
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import enlarge
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Side

CLIPS = [f"clip-{n}" for n in range(4)]
WORDS = "Decelerate because the lead vehicle stands."
SETTINGS = QueueSettings(second_share=0, audit_share=0, planted_share=0, blank_share=0, random_share=1)


@pytest.fixture
def run(tmp_path):
    """Seven labels: accepted, edited, rejected, unsure, and three that nobody has judged."""
    run = experiment(tmp_path, CLIPS)
    store = ReviewStore.of_run(str(run))
    store.add_person("ann", Role.REVIEWER)
    add_run(store, str(run))
    enlarge(store, SETTINGS)
    tasks = store.database.rows(
        "SELECT t.id FROM tasks t JOIN labels l ON l.id = t.label ORDER BY l.clip_id, l.t_us LIMIT 7"
    )
    for number, verdict in enumerate((Verdict.ACCEPT, Verdict.EDIT, Verdict.REJECT, Verdict.UNSURE)):
        # One of each clip: whoever has seen a future cannot judge the history of another window that shows it.
        judge(store, tasks[2 * number]["id"] if number < 3 else tasks[6]["id"], verdict)
    store.close()
    return run


def judge(store, task, verdict):
    revision = store.open(task, "ann", 0)
    revision = store.finish_history(task, "ann", revision, answer_for(store, task, "ann"))
    label = store.label(task)
    reason = Reason.NOT_THERE if verdict is Verdict.REJECT else None
    edit = None
    if verdict is Verdict.EDIT:
        lateral = label.lateral.model_copy(update={"direction": Side.RIGHT})
        edit = Edit(longitudinal=label.longitudinal, lateral=lateral, components=label.components, sentence=WORDS)
    store.judge(task, "ann", revision, Judgement(verdict=verdict, reason=reason, edit=edit))


def rows(out):
    return [json.loads(line) for line in (out / "data" / "sft.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("only", [Only.REVIEWED, Only.ACCEPTED])
def test_labels_are_as_people_left_them(run, tmp_path, only):
    result = exported(run, tmp_path / "out", only=only)
    accepted, changed = rows(tmp_path / "out")
    assert (accepted["clip_id"], accepted["provenance"]["origin"], accepted["risk"]) == ("clip-0", "accepted", 0.1)
    assert (changed["clip_id"], changed["provenance"]["origin"], changed["risk"]) == ("clip-1", "edited", None)
    assert (changed["cot"], changed["direction"]) == (WORDS, "right")
    assert (changed["label"]["effect_on_ego_behavior"], changed["label"]["lateral"]["direction"]) == (WORDS, "right")
    assert changed["longitudinal_causes"] == accepted["longitudinal_causes"] != []
    assert all(row["provenance"]["model"] == "some-model" for row in (accepted, changed))
    assert all(row["provenance"]["reviewers"] == 1 for row in (accepted, changed))
    assert result.counts.left_out == {
        "rejected: not there": 1,
        "reviewers are unsure": 1,
        "not reviewed": 3,
        "abstention: no_decision": 1,
    }


def test_the_card_tells_of_reviews_and_names_nobody(run, tmp_path):
    exported(run, tmp_path / "out", only=Only.REVIEWED)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "People reviewed 4 labels of the run: accept 1, edit 1, reject 1, unsure 1." in card
    assert "1 are accepted by people, 1 are edited by people" in card
    assert "Estimated error rate of the run's labels as they were generated" in card
    assert "expert-generated" in card
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b'ann"' in path.read_bytes()]


def test_a_label_that_changed_since_counts_as_not_reviewed(run, tmp_path):
    path = run / "clip-0" / f"cot_{MOMENTS_US[0]}.yaml"
    path.write_text(path.read_text().replace("stands.", "has stopped."))
    result = exported(run, tmp_path / "out", only=Only.REVIEWED)
    assert [row["clip_id"] for row in rows(tmp_path / "out")] == ["clip-1"]
    assert result.counts.left_out["changed since it was reviewed"] == 1


def test_generated_labels_are_not_touched_by_reviews(run, tmp_path):
    before = load_labels(str(run))
    result = exported(run, tmp_path / "out")
    assert result.counts.origins == {"generated": 7}
    assert load_labels(str(run)).equals(before)
