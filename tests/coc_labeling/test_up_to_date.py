import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from builders.runs import only_run
from coc_labeling.errors import RecordError
from coc_labeling.records import from_yaml, to_yaml
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder, load_labels
from coc_labeling.schema import CoCLabel, released_content
from coc_labeling.up_to_date import bring_up_to_date, current_row, own_stamp, stamp_of
from driving_clips import files

ELEPHANT = "Stop for the purple elephant."


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory) -> Path:
    """An experiment of the rules; tests only read it."""
    out = tmp_path_factory.mktemp("labelled")
    assert inputs.label(out) == 0
    return only_run(out)


@pytest.fixture
def run(labelled, tmp_path) -> Path:
    """A copy of it, its times kept."""
    return Path(shutil.copytree(labelled, tmp_path / "run"))


def labels(run: Path) -> pa.Table:
    return load_labels(str(run))


def path_of(run: Path, row: dict) -> Path:
    return Path(ExperimentFolder(str(run)).record_path(row["clip_id"], row["event_start_timestamp"]))


def edit(run: Path, row: dict) -> Path:
    """Write another label into a row's record."""
    path = path_of(run, row)
    label = CoCLabel(effect_on_ego_behavior=ELEPHANT)
    changes = {"label": label, "final_content": released_content(label)}
    path.write_text(to_yaml(from_yaml(path.read_text(), "file").model_copy(update=changes)))
    return path


def touch_all(run: Path) -> None:
    for path in run.rglob("cot_*.yaml"):
        os.utime(path, ns=(1, 1))


def test_a_row_whose_file_is_unchanged_stays_and_no_file_is_opened(run, monkeypatch):
    row = labels(run).to_pylist()[0]
    monkeypatch.setattr(files, "read_text", None)
    assert current_row(row, str(run)) == row
    assert bring_up_to_date(labels(run), str(run), 0) == (labels(run), 0)


def test_a_row_of_a_changed_file_is_made_anew(run):
    row = labels(run).to_pylist()[0]
    path = edit(run, row)
    current = current_row(row, str(run))
    assert current["sentence"] == ELEPHANT
    assert stamp_of(current) == own_stamp(row, str(run)) == files.stamp(str(path)) != stamp_of(row)


def test_a_copied_row_differs_in_its_stamp_only(run):
    row = labels(run).to_pylist()[0]
    touch_all(run)
    assert current_row(row, str(run)) == row | {"file_mtime_ns": 1}


def test_a_row_whose_file_is_gone_is_all_there_is(run):
    row = labels(run).to_pylist()[0]
    path_of(run, row).unlink()
    assert current_row(row, str(run)) == row
    assert own_stamp(row, str(run)) == stamp_of(row)


def test_a_row_without_its_label_is_made_from_its_file(run):
    row = labels(run).to_pylist()[0]
    assert current_row(row | {"label": None}, str(run)) == row
    few = {name: row[name] for name in ("clip_id", "event_start_timestamp", "file_size", "file_mtime_ns")}
    assert current_row(few, str(run)) == few


@pytest.mark.parametrize("content", ["results: [", "event_start_timestamp: 1"])
def test_a_file_that_holds_no_record_any_more_is_named(run, content):
    row = labels(run).to_pylist()[0]
    path = path_of(run, row)
    path.write_text(content)
    with pytest.raises(RecordError, match=f"^{path}: "):
        current_row(row, str(run))


def test_a_record_of_another_moment_is_refused(run):
    one, other = labels(run).to_pylist()[:2]
    path_of(run, one).write_bytes(path_of(run, other).read_bytes())
    with pytest.raises(RecordError, match="but the file"):
        current_row(one, str(run))


def test_a_table_is_brought_up_to_date_in_its_order(run):
    before = labels(run)
    row = before.to_pylist()[3]
    path = edit(run, row)
    after, left = bring_up_to_date(before, str(run), 1)
    assert left == 0
    assert after.to_pylist()[3] == current_row(row, str(run))
    rest = pc.not_equal(pa.array(range(len(before))), 3)
    assert after.filter(rest).to_pylist() == before.filter(rest).to_pylist()
    assert after.schema == LABELS_SCHEMA
    few = before.select(["clip_id", "event_start_timestamp", "sentence", "file_size", "file_mtime_ns"])
    assert bring_up_to_date(few, str(run), 1)[0] == after.select(few.column_names)
    assert files.stamp(str(path)).size == after.column("file_size")[3].as_py()


def test_too_many_changed_files_are_not_opened_but_their_stamps_are_the_files_own(run):
    before = labels(run)
    touch_all(run)
    after, left = bring_up_to_date(before, str(run), len(before) - 1)
    assert left == len(before)
    assert set(after.column("file_mtime_ns").to_pylist()) == {1}
    assert after.drop_columns(["file_mtime_ns"]) == before.drop_columns(["file_mtime_ns"])


def test_files_that_hold_no_record_are_counted_and_stay_as_they_were(run):
    before = labels(run)
    row = before.to_pylist()[0]
    path_of(run, row).write_text("results: [")
    after, left = bring_up_to_date(before, str(run), 10)
    assert left == 1
    assert after.column("sentence") == before.column("sentence")


def test_stamps_that_nobody_knows_stay_unknown(run):
    before = labels(run).slice(0, 1)
    unknown = pa.nulls(1, pa.int64())
    for name in ("file_size", "file_mtime_ns"):
        before = before.set_column(before.column_names.index(name), name, unknown)
    path_of(run, before.to_pylist()[0]).unlink()
    after, left = bring_up_to_date(before, str(run), 10)
    assert (after, left) == (before, 0)
    assert own_stamp(before.to_pylist()[0], str(run)) is None


def test_an_empty_table_is_up_to_date(tmp_path):
    empty = LABELS_SCHEMA.empty_table()
    assert bring_up_to_date(empty, str(tmp_path), 10) == (empty, 0)
