import os
from pathlib import Path

import pyarrow as pa
import pytest

from batch_runs.shards import WHOLE
from builders.records import plain_record
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.labellers import labellers
from coc_labeling.judge.selection import Labels, Selection, labels_of, select
from coc_labeling.judge.stages import Stage
from coc_labeling.prompts import text_hash
from coc_labeling.records import to_yaml
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import CoCLabel, Record, abstain, released_content

TIMES = (1_000_000, 2_000_000, 3_000_000)
ABSTAINED = abstain("no_decision", "nothing happens")
FLAT = """final_content:
  ego_behavior_schema:
    effect_on_ego_behavior: Stop for the red light ahead.
"""


def record(t_us: int, label: CoCLabel) -> Record:
    changes = {"clip_id": "clip", "event_start_timestamp": t_us, "event_start_frame": t_us // 100_000}
    return plain_record().model_copy(update=changes | {"label": label, "final_content": released_content(label)})


def says(sentence: str) -> CoCLabel:
    return CoCLabel(effect_on_ego_behavior=sentence)


@pytest.fixture
def run(tmp_path) -> str:
    """Two labels and an abstention, with their table."""
    folder = ExperimentFolder(str(tmp_path))
    labels = (says("Keep the speed."), says("Slow down."), ABSTAINED)
    rows = [folder.write(record(*each)) for each in zip(TIMES, labels, strict=True)]
    folder.write_table([pa.Table.from_pylist(rows, LABELS_SCHEMA)])
    return str(tmp_path)


def edit(run: str, t_us: int, label: CoCLabel) -> None:
    Path(ExperimentFolder(run).record_path("clip", t_us)).write_text(to_yaml(record(t_us, label)))


def chosen(labels: Labels) -> Selection:
    return select(labels, tuple(Stage), None, 0, WHOLE)


def judged(run: str) -> list[tuple[int, str | None]]:
    """Return keyframe and sentence of all that is judged."""
    labels = labels_of(run)
    moments = [labels.judged(pending) for pending in chosen(labels).pending]
    assert [labels.hash_of(m.number) for m in moments] == [
        text_hash(m.label.model_dump_json(exclude_none=True)) for m in moments
    ]
    return [(moment.t_us, moment.label.effect_on_ego_behavior) for moment in moments]


def test_labels_are_those_of_the_table_while_their_files_are_unchanged(run, monkeypatch):
    monkeypatch.setattr("driving_clips.files.read_text", None)
    assert judged(run) == [(TIMES[0], "Keep the speed."), (TIMES[1], "Slow down.")]
    assert labels_of(run).abstentions == 1


def test_an_edited_record_is_judged_as_it_is_now(run):
    before = labels_of(run).hash_of(1)
    edit(run, TIMES[1], says("Stop for the purple elephant."))
    assert judged(run)[1] == (TIMES[1], "Stop for the purple elephant.")
    assert labels_of(run).hash_of(1) != before


def test_a_record_that_changes_while_it_is_judged_stays_as_it_was_first_seen(run):
    labels = labels_of(run)
    pending = chosen(labels).pending
    before = labels.hash_of(0)
    edit(run, TIMES[0], says("Stop."))
    assert labels.judged(pending[0]).label == says("Keep the speed.")
    assert labels.hash_of(0) == before


def test_records_that_were_only_copied_are_the_same_labels(run):
    before = [labels_of(run).hash_of(number) for number in range(2)]
    for t_us in TIMES:
        os.utime(ExperimentFolder(run).record_path("clip", t_us), ns=(1, 1))
    assert [labels_of(run).hash_of(number) for number in range(2)] == before


def test_labels_and_abstentions_are_told_by_the_records(run):
    edit(run, TIMES[0], ABSTAINED)
    edit(run, TIMES[2], says("Turn left."))
    assert judged(run) == [(TIMES[1], "Slow down."), (TIMES[2], "Turn left.")]
    labels = labels_of(run)
    assert (labels.abstentions, chosen(labels).abstentions) == (0, 1)


def test_a_record_that_has_become_unreadable_is_named_and_its_scores_do_not_count(run):
    Path(ExperimentFolder(run).record_path("clip", TIMES[0])).write_text("[broken")
    labels = labels_of(run)
    ((item, why),) = chosen(labels).unreadable.items()
    assert (item, why.startswith(f"{run}/clip/cot_{TIMES[0]}.yaml: ")) == (f"clip/cot_{TIMES[0]}.yaml", True)
    assert labels.hash_of(0) == ""


def test_flat_records_without_a_timestamp_are_judged(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "cot_6000000.yaml").write_text(FLAT)
    assert judged(str(tmp_path)) == [(6_000_000, "Stop for the red light ahead.")]
    assert labellers(str(tmp_path), labels_of(str(tmp_path)).table) == []


def test_a_run_without_a_label_is_named(run):
    for t_us in TIMES[:2]:
        edit(run, t_us, ABSTAINED)
    assert chosen(labels_of(run)).pending == []
    (Path(run) / "labels.parquet").unlink()
    with pytest.raises(CocLabelingError, match="found 3 records without one"):
        labels_of(run)
