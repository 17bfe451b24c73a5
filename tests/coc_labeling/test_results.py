import json
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_runs.shards import Shard
from builders.records import full_record, plain_record, two_stage_record
from coc_labeling.errors import CocLabelingError
from coc_labeling.records import to_yaml
from coc_labeling.results import (
    LABELS,
    LABELS_SCHEMA,
    ExperimentFolder,
    as_row,
    load_labels,
    new_experiment,
    read_valid,
    resumed_experiment,
    token_totals,
)
from coc_labeling.schema import ModelCall, Record, abstain
from driving_clips import files
from driving_clips.errors import DatasetError

MOMENT = ("b6700354-ab89-45ec-8b47-7d6dbfe16b1a", 12_600_000)


@pytest.fixture
def folder(tmp_path) -> ExperimentFolder:
    return ExperimentFolder(str(tmp_path / "run"))


def batch(*rows: dict) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), LABELS_SCHEMA)


def write_and_index(folder: ExperimentFolder) -> dict:
    with folder.opened() as journal:
        row = folder.write(full_record())
        journal.append(batch(row))
        folder.settle(journal)
    return row


def found_in(folder: ExperimentFolder) -> tuple[bool, bool]:
    """Whether the record counts as finished, and whether its file had to be opened for it."""
    found, unindexed = folder.finished([MOMENT])
    return MOMENT in found, bool(unindexed)


def test_a_new_experiment_has_its_time_and_name(tmp_path):
    path = new_experiment(str(tmp_path), "my_test")
    assert re.fullmatch(r"\d{8}_\d{6}_my_test", files.base_name(path))
    assert files.parent(path) == str(tmp_path)


def test_two_experiments_of_one_second_do_not_share_a_folder(tmp_path):
    paths = set()
    for _ in range(4):
        path = new_experiment(str(tmp_path), "x")
        files.make_dir(path)
        paths.add(path)
    assert len(paths) == 4


def test_an_existing_path_is_resumed_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "experiments/run"):
        files.make_dir(name)
    assert resumed_experiment("./experiments", "run") == "run"


def test_a_name_is_resumed_below_the_output_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.make_dir("experiments/run")
    assert resumed_experiment("./experiments", "run") == "experiments/run"


def test_an_absolute_path_is_resumed_as_it_is(tmp_path):
    path = files.make_dir(str(tmp_path / "elsewhere"))
    assert resumed_experiment("./experiments", path) == path


def test_a_folder_of_other_things_is_not_resumed(tmp_path):
    (tmp_path / "someone_s_files").mkdir()
    (tmp_path / "someone_s_files" / "notes.txt").write_text("not an experiment")
    with pytest.raises(CocLabelingError, match="no experiment"):
        resumed_experiment("./experiments", str(tmp_path / "someone_s_files"))


@pytest.mark.parametrize("name", ["run", "/nowhere/run"])
def test_a_folder_that_is_not_there_is_not_made(name, tmp_path):
    with pytest.raises(CocLabelingError, match=f"resume_exp_dir={name}: no such folder"):
        resumed_experiment(str(tmp_path), name)


def test_a_record_lies_where_the_released_tool_puts_it(folder):
    folder.write(full_record())
    assert files.read_text(f"{folder.path}/{MOMENT[0]}/cot_12600000.yaml") == to_yaml(full_record())


def test_the_table_has_the_documented_columns_and_types(folder):
    write_and_index(folder)
    table = pq.read_table(f"{folder.path}/labels.parquet")
    assert table.schema.names == LABELS_SCHEMA.names
    types = {field.name: str(field.type) for field in table.schema}
    assert types["event_start_timestamp"] == "int64"
    assert types["file_size"] == types["file_mtime_ns"] == "int64"
    assert types["scores"].startswith("map<string, double")
    assert types["meta_actions"].startswith("list<")


def test_a_row_says_what_the_record_says(folder):
    row = write_and_index(folder)
    stored = pq.read_table(f"{folder.path}/labels.parquet").to_pylist()[0]
    assert (stored["clip_id"], stored["event_start_timestamp"]) == MOMENT
    assert (stored["status"], stored["event_start_frame"]) == ("label", 126)
    assert (stored["longitudinal"], stored["lateral"], stored["direction"]) == ("follow_lead", "nudge_in_lane", "left")
    assert stored["longitudinal_causes"] == ["critical_object:lead", "lane"]
    assert stored["lateral_causes"] == ["unobserved"]
    assert stored["sentence"] == full_record().label.effect_on_ego_behavior
    assert stored["meta_actions"] == ["gentle_deceleration"]
    assert (stored["prompt_tokens"], stored["response_tokens"]) == (900, 31)
    assert (stored["reasoning_tokens"], stored["cached_tokens"]) == (8, 512)
    assert stored["repair"] == "repaired"
    assert stored["file_size"] == len(to_yaml(full_record()).encode()) == row["file_size"]


def test_an_abstention_s_row_has_its_reason(folder):
    own = full_record().model_dump() | {"label": abstain("no_frames", "no video").model_dump(), "final_content": {}}
    row = as_row(Record.model_validate(own), files.FileStamp(1, 2))
    assert (row["status"], row["abstention_reason"], row["sentence"]) == ("abstention", "no_frames", None)
    assert row["longitudinal_causes"] == []


def test_a_record_without_calls_has_a_row_too():
    row = as_row(plain_record(), files.FileStamp(1, 2))
    assert (row["repair"], row["cached_tokens"], row["prompt_tokens"]) == (None, 0, 900)


def test_rows_are_sorted_by_clip_and_time_and_the_last_of_a_record_counts(folder):
    row = write_and_index(folder)
    rows = [
        row | {"clip_id": c, "event_start_timestamp": t, "sentence": s}
        for c, t, s in [("b", 0, "1"), ("a", 9, "2"), ("a", 1, "3"), ("b", 0, "4")]
    ]
    folder.write_table([pa.Table.from_pylist(rows, LABELS_SCHEMA)])
    assert [(r["clip_id"], r["event_start_timestamp"], r["sentence"]) for r in folder.read_table().to_pylist()] == [
        ("a", 1, "3"),
        ("a", 9, "2"),
        ("b", 0, "4"),
    ]


def test_an_indexed_record_is_finished_without_being_opened(folder, monkeypatch):
    write_and_index(folder)
    monkeypatch.setattr(files, "read_text", lambda path: pytest.fail(f"{path} was opened"))
    assert found_in(folder) == (True, False)


def test_a_record_that_no_table_has_is_opened_once_and_adopted(folder):
    folder.write(full_record())
    assert found_in(folder) == (True, True)


def test_a_touched_record_is_validated_again(folder):
    write_and_index(folder)
    os.utime(folder.record_path(*MOMENT))
    assert found_in(folder) == (True, True)


def test_an_edited_but_valid_record_counts_as_edited(folder):
    write_and_index(folder)
    path = folder.record_path(*MOMENT)
    files.write_atomic(path, files.read_text(path).replace("12 m ahead, stands", "9 m ahead, stands"))
    _, (row,) = folder.finished([MOMENT])
    assert row["sentence"] == "Decelerate: the lead vehicle, 9 m ahead, stands."


SPOIL = {
    "empty": lambda text: "",
    "half": lambda text: text[: text.index("final_content")],
    "head": lambda text: text[:40],
    "decision": lambda text: text.replace("follow_lead", "fly"),
    "cause": lambda text: text.replace("- c1", "- c9"),
    "frame": lambda text: text.replace("126", "127"),
    "clip": lambda text: text.replace("b6700354", "b6700355"),
    "version": lambda text: text.replace("schema_version: 3", "schema_version: 7"),
    "odd version": lambda text: text.replace("schema_version: 3", "schema_version: []"),
    "odd date": lambda text: text.replace("12600000", "2026-99-99"),
    "zeros": lambda text: "\0\0\0",
    "utf-16": lambda text: text.encode("utf-16"),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_a_spoilt_record_is_not_finished(folder, spoil):
    write_and_index(folder)
    path = folder.record_path(*MOMENT)
    files.write_atomic(path, spoil(files.read_text(path)))
    assert found_in(folder) == (False, False)


def test_a_record_under_another_moment_s_name_is_not_finished(folder):
    folder.write(full_record())
    other = folder.record_path(MOMENT[0], 5)
    files.copy(folder.record_path(*MOMENT), other)
    assert read_valid(other, (MOMENT[0], 5)) is None


def test_a_folder_in_a_record_s_place_is_not_finished(folder):
    files.make_dir(folder.record_path(*MOMENT))
    assert found_in(folder) == (False, False)


def test_a_deleted_record_is_not_finished(folder):
    write_and_index(folder)
    files.remove(folder.record_path(*MOMENT))
    assert found_in(folder) == (False, False)


@pytest.mark.parametrize("content", [b"", b"PAR1 torn", b"\0" * 200])
def test_a_damaged_table_is_made_again_from_the_files(folder, content):
    write_and_index(folder)
    files.write_atomic(folder.table_path("labels.parquet"), content)
    assert folder.read_table().num_rows == 0
    assert found_in(folder) == (True, True)


def test_a_table_of_other_columns_is_made_again(folder):
    write_and_index(folder)
    pq.write_table(pa.table({"clip_id": ["a"]}), folder.table_path("labels.parquet"))
    assert folder.read_table().num_rows == 0


def test_rows_in_the_journal_of_a_killed_run_are_taken_over(folder):
    with folder.opened() as journal:
        journal.append(batch(folder.write(full_record())))
    with folder.opened() as journal:
        folder.settle(journal)
    assert folder.read_table().num_rows == 1
    assert found_in(folder) == (True, False)


def test_a_second_run_in_the_folder_is_refused(folder):
    with folder.opened(), pytest.raises(DatasetError, match="another run is writing here"), folder.opened():
        pass


def test_two_shards_may_run_in_one_folder(folder):
    with folder.opened(), ExperimentFolder(folder.path, Shard(1, 2)).opened():
        pass


def test_labels_of_a_run_that_is_not_merged_are_those_of_its_shards(folder):
    row = write_and_index(folder)
    files.remove(folder.table_path("labels.parquet"))
    for index in range(2):
        shard = ExperimentFolder(folder.path, Shard(index, 2))
        shard.write_table([pa.Table.from_pylist([row | {"clip_id": str(index)}], LABELS_SCHEMA)])
    assert load_labels(folder.path).column("clip_id").to_pylist() == ["0", "1"]


def test_a_folder_that_is_no_experiment_is_named(tmp_path):
    with pytest.raises(CocLabelingError, match="Expected an experiment folder of Step 3"):
        load_labels(str(tmp_path))


def test_a_damaged_table_is_named_when_labels_are_loaded(folder):
    write_and_index(folder)
    files.write_atomic(folder.table_path("labels.parquet"), b"torn")
    with pytest.raises(CocLabelingError, match=r"labels\.parquet"):
        load_labels(folder.path)


def test_tokens_are_added_up_over_all_records():
    rows = [
        {"prompt_tokens": 5, "response_tokens": 2, "reasoning_tokens": 0, "cached_tokens": 4},
        {"prompt_tokens": 7},
    ]
    table = pa.Table.from_pylist(rows, LABELS_SCHEMA)
    assert token_totals(table) == {"prompt": 12, "response": 2, "reasoning": 0, "cached": 4}
    assert set(token_totals(LABELS_SCHEMA.empty_table()).values()) == {0}


def test_a_table_of_an_older_version_is_read_with_what_it_lacks_empty(folder):
    write_and_index(folder)
    old = folder.read_table().drop_columns(["told_facts", "unlisted", "label"])
    pq.write_table(old, folder.table_path(LABELS))
    row = folder.read_table().to_pylist()[0]
    assert (row["told_facts"], row["unlisted"], row["label"]) == (None, None, None)
    assert (row["clip_id"], row["event_start_timestamp"]) == MOMENT


def test_components_that_stage_1_did_not_list_are_named():
    own = two_stage_record()
    heard = [component.description for component in own.label.components]
    answer = json.dumps({"components": [{"description": heard[0]}]})
    call = ModelCall(purpose="components", request_hash="0", max_tokens=9, answer=answer)
    stamp = files.FileStamp(0, 0)
    row = as_row(own.model_copy(update={"calls": (call,)}), stamp)
    assert row["unlisted"] == [component.id for component in own.label.components[1:]]
    assert as_row(own.model_copy(update={"calls": ()}), stamp)["unlisted"] is None
