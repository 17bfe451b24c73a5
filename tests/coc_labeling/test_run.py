import re
from pathlib import Path

import pytest

from batch_runs.shards import Shard
from builders.commands import summary
from builders.runs import Inputs, only_run, read_record, records_in, rows_of, table_of, write_keyframes, write_segments
from coc_labeling.errors import CocLabelingError
from coc_labeling.run import label_run
from driving_clips import files
from driving_clips.errors import DatasetError


@pytest.fixture
def out(tmp_path):
    return tmp_path / "experiments"


@pytest.fixture(scope="module")
def undisturbed(inputs: Inputs, tmp_path_factory):
    """One run that nothing happens to; tests only read it."""
    folder = label_run(inputs.config(tmp_path_factory.mktemp("undisturbed"))).folder
    return Path(folder.path)


def times_of(run) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("cot_*.yaml")}


def test_every_keyframe_becomes_one_record(inputs, undisturbed):
    records = records_in(undisturbed)
    assert len(records) == len(rows_of(undisturbed)) > 10


def test_each_record_says_who_made_it_of_what(undisturbed):
    path = next(undisturbed.rglob("cot_*.yaml"))
    made_by = read_record(path)["provenance"]
    assert (made_by["agent"], made_by["model"], made_by["dataset"]) == ("RulesAgent", "rules", "table")
    assert made_by["code_version"]


def test_a_record_tells_all_meta_actions_that_start_there(inputs, undisturbed):
    for path in undisturbed.rglob("cot_*.yaml"):
        record = read_record(path)
        started = record["meta_actions"]
        assert started
        assert all(span["start_tick"] == record["event_start_frame"] for span in started)


def test_the_car_ahead_of_the_first_clip_is_cited_and_no_other(undisturbed):
    causes = {row["clip_id"] for row in rows_of(undisturbed) if "critical_object:lead" in row["longitudinal_causes"]}
    assert causes == {"clip_0"}


def test_clips_without_tracks_say_so(undisturbed):
    rows = [r for r in rows_of(undisturbed) if r["longitudinal_causes"] == ["unobserved"] and r["clip_id"] != "clip_0"]
    assert rows
    assert [row["trace"] for row in rows if "no obstacle tracks" not in row["trace"]] == []


def test_one_and_two_workers_write_the_same(inputs, undisturbed, out, monkeypatch):
    monkeypatch.setattr("coc_labeling.engine.WINDOWS_PER_WORKER", 1)
    label_run(inputs.config(out, num_workers=2))
    run = only_run(out)
    assert records_in(run) == records_in(undisturbed)
    assert rows_of(run) == rows_of(undisturbed)


def test_a_finished_run_is_not_written_again(inputs, out):
    result = label_run(inputs.config(out))
    folder, first = result.folder, result.tally
    before, table = times_of(only_run(out)), table_of(only_run(out))
    second = label_run(inputs.config(out, resume_exp_dir=folder.path)).tally
    assert times_of(only_run(out)) == before
    assert table_of(only_run(out)).equals(table)
    assert second.count("done") == first.count("done") == len(second.by_reason["done"]["already_done"])
    assert second.fresh == 0


def test_missing_and_spoilt_records_are_done_again(inputs, undisturbed, out):
    folder = label_run(inputs.config(out)).folder
    run = only_run(out)
    paths = sorted(run.rglob("cot_*.yaml"))
    paths[0].unlink()
    paths[1].write_text(paths[1].read_text()[:100])
    paths[2].write_text(paths[2].read_text().replace("RulesAgent", "[not yaml"))
    kept = times_of(run)[str(paths[3])]
    tally = label_run(inputs.config(out, resume_exp_dir=folder.path)).tally
    assert tally.fresh + sum(len(i) for r, i in tally.by_reason["rejected"].items()) == 3
    assert records_in(run) == records_in(undisturbed)
    assert rows_of(run) == rows_of(undisturbed)
    assert times_of(run)[str(paths[3])] == kept


def test_valid_records_that_no_table_has_are_adopted(inputs, undisturbed, out):
    folder = label_run(inputs.config(out)).folder
    run = only_run(out)
    before = times_of(run)
    (run / "labels.parquet").unlink()
    label_run(inputs.config(out, resume_exp_dir=folder.path))
    assert times_of(run) == before
    assert rows_of(run) == rows_of(undisturbed)


def test_an_edited_record_keeps_its_edit_and_its_row_follows(inputs, out):
    folder = label_run(inputs.config(out)).folder
    path = next(p for p in sorted(only_run(out).rglob("cot_*.yaml")) if "; no cause was observed." in p.read_text())
    path.write_text(path.read_text().replace("; no cause was observed.", ", edited."))
    label_run(inputs.config(out, resume_exp_dir=folder.path))
    t_us = int(path.stem.removeprefix("cot_"))
    (row,) = (
        r for r in rows_of(only_run(out)) if (r["clip_id"], r["event_start_timestamp"]) == (path.parent.name, t_us)
    )
    assert row["sentence"].endswith(", edited.")


def test_records_of_an_earlier_selection_stay_in_the_table(inputs, out, tmp_path):
    few = write_keyframes(tmp_path / "few.json", {"stop": [("clip_1", 40)]})
    folder = label_run(inputs.config(out, data__segment_config_path=str(few))).folder
    label_run(inputs.config(out, resume_exp_dir=folder.path))
    rows = rows_of(only_run(out))
    assert ("clip_1", 4_000_000) in {(row["clip_id"], row["event_start_timestamp"]) for row in rows}
    assert len(rows) == len(records_in(only_run(out)))


def test_another_run_in_the_folder_is_refused_and_harms_nothing(inputs, out):
    folder = label_run(inputs.config(out)).folder
    with folder.opened(), pytest.raises(DatasetError, match="another run is writing here"):
        label_run(inputs.config(out, resume_exp_dir=folder.path))


def test_shards_share_the_windows_out_and_together_have_all(inputs, undisturbed, out):
    folder = label_run(inputs.config(out, shard="0/2")).folder
    first = records_in(only_run(out))
    label_run(inputs.config(out, shard="1/2", resume_exp_dir=folder.path))
    assert all(name.split("/")[0] in Shard(0, 2) for name in first)
    assert records_in(only_run(out)) == records_in(undisturbed)


def test_the_folder_is_named_after_time_and_experiment(inputs, out):
    label_run(inputs.config(out, exp_name="my_test"))
    assert re.fullmatch(r"\d{8}_\d{6}_my_test", only_run(out).name)


def test_the_folder_to_resume_may_be_named_below_the_output_root(inputs, out):
    folder = label_run(inputs.config(out)).folder
    again = label_run(inputs.config(out, resume_exp_dir=files.base_name(folder.path))).folder
    assert again.path == folder.path


def test_a_missing_folder_to_resume_is_no_new_experiment(inputs, out):
    with pytest.raises(CocLabelingError, match="resume_exp_dir=gone: no such folder"):
        label_run(inputs.config(out, resume_exp_dir="gone"))
    assert not out.exists()


def test_no_temporary_file_and_no_journal_is_left_behind(inputs, out):
    label_run(inputs.config(out))
    names = {p.name for p in only_run(out).rglob("*") if p.is_file() and not p.name.startswith("cot_")}
    assert {"labels.parquet", "run_summary.json"} <= names
    assert not [name for name in names if name.endswith((".tmp", ".arrows"))]


def test_what_a_killed_run_left_half_written_is_removed(inputs, out):
    folder = label_run(inputs.config(out)).folder
    record = next(only_run(out).rglob("cot_*.yaml"))
    half = record.with_name(f".{record.name}.{files._HOST}-999999999.tmp")
    record.rename(half)
    label_run(inputs.config(out, resume_exp_dir=folder.path))
    assert record.exists()
    assert not half.exists()


def test_a_damaged_memory_of_the_configuration_is_named(inputs, out):
    folder = label_run(inputs.config(out)).folder
    files.write_atomic(f"{folder.path}/run_config.json", "{torn")
    with pytest.raises(CocLabelingError, match=r"run_config\.json"):
        label_run(inputs.config(out, resume_exp_dir=folder.path))


def test_another_model_is_not_mixed_into_a_resumed_folder(inputs, out):
    folder = label_run(inputs.config(out)).folder
    with pytest.raises(CocLabelingError, match="model_name was 'rules' and is 'dummy'"):
        label_run(inputs.config(out, resume_exp_dir=folder.path, model_name="dummy"))


def test_another_model_is_not_mixed_into_a_resumed_folder_by_another_shard(inputs, out):
    folder = label_run(inputs.config(out, shard="0/2")).folder
    with pytest.raises(CocLabelingError, match="model_name was 'rules' and is 'dummy'"):
        label_run(inputs.config(out, resume_exp_dir=folder.path, model_name="dummy", shard="1/2"))


def test_the_summary_tells_command_config_counts_and_tokens(inputs, out):
    label_run(inputs.config(out))
    told = summary(only_run(out))
    assert told["command"] == "coc_labeling.data_labeling"
    assert told["config"]["data"]["dataset_name"] == "table"
    assert sum(told["counts"].values()) == told["keyframes"] == len(records_in(only_run(out)))
    assert told["tokens"] == {"prompt": 0, "response": 0, "reasoning": 0, "cached": 0}


@pytest.mark.parametrize("key", ["data_dir", "meta_action_dir"])
def test_a_required_input_that_is_not_set_is_named(inputs, out, key):
    with pytest.raises(CocLabelingError, match=rf"required and not set: data\.{key}\."):
        label_run(inputs.config(out, **{f"data__{key}": None}))


def test_all_required_inputs_are_named_at_once(inputs, out):
    with pytest.raises(CocLabelingError, match=r"data\.data_dir, data\.meta_action_dir"):
        label_run(inputs.config(out, data__data_dir=None, data__meta_action_dir=None))


def test_segments_from_parquet_are_labelled_at_their_own_time(inputs, out, tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["clip_1"], [5_012_345])
    settings = {
        "data_loader__keyframe__segment_generator_type": "parquet",
        "data__segment_list_parquet_file": str(path),
    }
    label_run(inputs.config(out, **settings))
    (name,) = records_in(only_run(out))
    assert name == "clip_1/cot_5012345.yaml"
    assert read_record(only_run(out) / name)["event_start_frame"] == 50


def test_a_window_at_the_clip_s_end_says_what_is_missing(inputs, out, tmp_path):
    path = write_keyframes(tmp_path / "k.json", {"stop": [("clip_1", 190)]})
    label_run(inputs.config(out, data__segment_config_path=str(path)))
    (name,) = records_in(only_run(out))
    assert read_record(only_run(out) / name)["window"]["missing_future_sec"] == 5.0


def test_the_cache_changes_no_record(inputs, undisturbed, out, tmp_path):
    cache = str(tmp_path / "cache")
    label_run(inputs.config(out / "cold", data__cache_dir=cache))
    label_run(inputs.config(out / "warm", data__cache_dir=cache))
    assert list(Path(cache).rglob("*.arrow"))
    expected = records_in(undisturbed)
    assert records_in(only_run(out / "cold")) == records_in(only_run(out / "warm")) == expected


def test_the_dummy_says_dummy_in_every_record(inputs, out):
    label_run(inputs.config(out, model_name="dummy"))
    records = records_in(only_run(out))
    assert records
    assert all(content.count(b"dummy") >= 3 for content in records.values())
