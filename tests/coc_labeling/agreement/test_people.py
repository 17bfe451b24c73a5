import pytest

from builders.agreed import write_run
from builders.reviews import ACCEPT, PLAIN, UNSURE, filled, review, rows
from coc_labeling.agreement.comparing import CompareOptions, compare
from coc_labeling.agreement.decided import Channel, State
from coc_labeling.agreement.output import as_dict, write_pairs
from coc_labeling.agreement.people import PeopleSide
from coc_labeling.agreement.runs import RunSide
from coc_labeling.errors import CocLabelingError
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, next_task, page
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.schema import Longitudinal

HOSTILE = "Stop. <script>alert(1)</script> [bold]{0}[/bold]"
REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.EMPTY)
STOPS = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(longitudinal=Longitudinal(decision="stop", cause_ids=("unobserved",)), sentence=HOSTILE),
)
OPTIONS = CompareOptions(resamples=100)


@pytest.fixture
def run_dir(tmp_path):
    """A run of six labels with reviews: accepted, edited, rejected, unsure, accepted, and one nobody looked at."""
    folder = write_run(tmp_path / "run", {(row.clip_id, row.t_us): row.label for row in rows(6)})
    store = filled(str(folder), count=6)
    by_clip = sorted(page(store, Filters()).tasks, key=lambda one: one.clip_id)
    for one, judgement in zip(by_clip, (ACCEPT, STOPS, REJECT, UNSURE, ACCEPT), strict=False):
        review(store, one.task, "ann", judgement)
    store.close()
    return str(folder)


def test_people_are_a_side_with_the_labels_they_left(run_dir):
    side = PeopleSide(run_dir, "run@people")
    decided, notices = side.decided()
    assert [decided.moment(row)[0] for row in range(5)] == [f"clip0000{n}" for n in range(5)]
    assert decided.state.tolist() == [State.DECIDED] * 2 + [State.ABSTAINED] * 2 + [State.DECIDED]
    assert side.about() == {
        "name": "run@people",
        "run_dir": run_dir,
        "reviewers": ["ann"],
        "verdicts": {"accept": 2, "edit": 1, "reject": 1, "unsure": 1},
    }
    said = "run@people: 1 labels were rejected and 1 left as unsure. People have no decision there"
    assert notices == [f"{said}: it counts as abstained, and the agreement is that of the labels they kept."]
    assert side.sentences([("clip00001", 5_000_000), ("clip00002", 5_000_000), ("clip00005", 5_000_000)]) == {
        ("clip00001", 5_000_000): HOSTILE
    }


def test_a_run_and_people_are_compared(run_dir, tmp_path):
    found = compare(RunSide(run_dir, "run"), PeopleSide(run_dir, "run@people"), OPTIONS)
    assert (len(found.pairing), len(found.compared)) == (5, 3)
    assert found.pairing.unpaired_a[State.DECIDED] == 1
    speed = found.agreements[Channel.LONGITUDINAL]
    assert speed.raw.value == pytest.approx(2 / 3)
    (example,) = found.examples
    assert (example.said_a, example.said_b, example.sentence_b) == ("follow_lead", "stop", HOSTILE)
    assert as_dict(found)["b"]["verdicts"]["edit"] == 1
    write_pairs(found, str(tmp_path / "pairs.csv"))
    assert "abstained" in (tmp_path / "pairs.csv").read_text()


def test_one_reviewer_is_a_side_and_disputes_are_said(tmp_path):
    twice = QueueSettings(batch_size=3, second_share=1, audit_share=0, planted_share=0.5, blank_share=0)
    store = filled(str(tmp_path), count=6, settings=twice, people="ann bob people")
    for person, judgement in (("ann", ACCEPT), ("bob", REJECT), ("people", ACCEPT)):
        while (task := next_task(store, person)) is not None:
            review(store, task, person, judgement)
    store.close()
    run_dir = str(tmp_path)
    everybody = PeopleSide(run_dir, "all")
    decided, notices = everybody.decided()
    assert len(decided) == 6
    assert everybody.about()["reviewers"] == ["ann", "bob", "people"]
    assert any("reviewers differ and nobody audited" in notice for notice in notices)
    counts = {}
    for name in ("ann", "bob", "people"):
        side = PeopleSide(run_dir, name, name)
        own, notices = side.decided()
        counts[name] = len(own)
        assert side.about()["reviewers"] == [name]
        assert set(own.state.tolist()) == {State.ABSTAINED if name == "bob" else State.DECIDED}
        assert not any("differ" in notice for notice in notices)
    assert sum(counts.values()) == 12  # planted labels are nobody's
    found = compare(PeopleSide(run_dir, "ann", "ann"), everybody, OPTIONS)
    assert found.agreements[Channel.LATERAL].raw.value == 1


def test_what_is_no_side_is_refused(run_dir, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for side, message in (
        (PeopleSide(str(tmp_path / "none"), "x"), "no such folder"),
        (PeopleSide(str(empty), "x"), "nobody has reviewed this run"),
        (PeopleSide(run_dir, "x", "<b>zoe</b>"), "nobody called '<b>zoe</b>' reviews it. There are: ann, aud"),
        (PeopleSide(run_dir, "x", "aud"), "no label in it has been judged by aud"),
    ):
        with pytest.raises(CocLabelingError, match=message):
            side.decided()
    assert list(empty.iterdir()) == []
    filled(str(empty), count=1, settings=PLAIN).close()
    with pytest.raises(CocLabelingError, match="judged by anybody"):
        PeopleSide(str(empty), "x").decided()
