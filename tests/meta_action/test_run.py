"""Step 1 over whole datasets, undisturbed: what is written, what a second run does, shards, lists, caches."""

import json
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.commands import autolabel, contents, labels, leftovers, summary
from builders.driving import drive, lively_drive, uuid_like
from builders.golden import GOLDEN, PAI_TEXTS, TRAJECTORY_TEXTS, texts, trajectories
from builders.pai import ego_parquet, write_chunk
from builders.table import write_csv, write_trajectory
from driving_clips.datasets.table import TableDataset
from meta_action.timeline import from_text

CLIPS = 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for i in range(CLIPS):
        write_csv(folder, f"drive{i}", lively_drive(i))
    write_csv(folder, "short", drive(0.5))
    return folder


@pytest.fixture
def own_data(data, tmp_path):
    """A copy of the data that a test may change; times are kept."""
    shutil.copytree(data, tmp_path / "data")
    return tmp_path / "data"


def test_golden_trajectories_as_tables(tmp_path):
    for clip_id, trajectory in trajectories().items():
        write_trajectory(tmp_path / "data", clip_id, trajectory)
    assert autolabel(tmp_path / "data", tmp_path / "out") == 0
    assert texts(tmp_path / "out" / "final_outputs") == texts(TRAJECTORY_TEXTS)
    for path in (GOLDEN / "segments").glob("*.json"):
        raw = json.loads((tmp_path / "out" / "tmp" / "raw_results" / path.name).read_text())
        assert raw == json.loads(path.read_text())["raw_strings"]


def test_golden_pai_archives(tmp_path):
    assert autolabel(GOLDEN / "pai", tmp_path / "out", dataset="pai") == 0
    assert texts(tmp_path / "out" / "final_outputs") == texts(PAI_TEXTS)
    assert summary(tmp_path / "out")["counts"] == {"done": 40, "rejected": 0, "failed": 0}


def test_the_layout_of_the_results(data, tmp_path):
    assert autolabel(data, tmp_path) == 0
    names = [f"drive{i}" for i in range(CLIPS)]
    expected = {f"final_outputs/{name}.txt" for name in names} | {f"tmp/raw_results/{name}.json" for name in names}
    expected |= {"meta_actions.parquet", "clips.parquet", "run_summary.json", "tmp/lock"}
    assert set(contents(tmp_path)) == expected


def test_explicit_names_have_folders_of_their_own_and_only_these_names(data, tmp_path):
    everything, some = tmp_path / "all", tmp_path / "some"
    autolabel(data, everything)
    assert autolabel(data, some, names=("stop", "steer_left")) == 0
    assert (some / "stop-steer_left" / "drive0.json").exists()
    for clip_id, text in texts(everything / "final_outputs").items():
        kept = [line for line in text.splitlines(keepends=True) if line.split()[0] in ("Stop", "SteerLeft")]
        path = some / "stop-steer_left_post" / f"{clip_id}.txt"
        assert (path.read_text() if path.exists() else "") == "".join(kept)


def test_a_stop_silences_the_lateral_axis_even_where_it_is_not_selected(tmp_path):
    speed = lambda t: abs(t - 10.0).clip(2.0, None) * 2 - 4.0  # noqa: E731
    write_csv(tmp_path / "data", "a", drive(speed=speed))
    autolabel(tmp_path / "data", tmp_path / "out", names=("go_straight",))
    text = (tmp_path / "out" / "go_straight_post" / "a.txt").read_text()
    assert text.count("GoStraight") == 2


def test_the_table_says_the_same_as_the_texts(data, tmp_path):
    autolabel(data, tmp_path)
    table = pq.read_table(tmp_path / "meta_actions.parquet")
    assert [(field.name, field.type) for field in table.schema] == [
        ("clip_id", pa.string()),
        ("axis", pa.string()),
        ("name", pa.string()),
        ("start_tick", pa.int16()),
        ("end_tick", pa.int16()),
    ]
    expected = [
        (clip_id, span.axis, span.name, span.start, span.end)
        for clip_id, text in sorted(texts(tmp_path / "final_outputs").items(), key=lambda item: f"{item[0]}.txt")
        for span in from_text(clip_id, text).spans
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_the_summary_counts_every_clip_once(data, tmp_path):
    autolabel(data, tmp_path)
    written = summary(tmp_path)
    assert written["command"] == "meta-action-autolabel"
    assert written["counts"] == {"done": CLIPS, "rejected": 1, "failed": 0}
    assert written["ids"]["rejected"] == {"too_short": ["short"]}
    assert "6 ticks" in written["messages"]["short"]
    assert written["config"]["dataset_name"] == "table"
    assert written["spans"]["steer_left"] > 0


def test_a_second_run_does_nothing_again(data, tmp_path):
    autolabel(data, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.txt")}
    expected = labels(tmp_path)
    assert autolabel(data, tmp_path) == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.txt")} == before
    assert labels(tmp_path) == expected
    again = summary(tmp_path)
    assert again["reasons"] == {"done": {"already_done": CLIPS}, "rejected": {"too_short": 1}, "failed": {}}


@pytest.mark.parametrize("damage", ["deleted", "truncated", "emptied"])
def test_a_text_that_is_not_whole_is_made_again(data, tmp_path, damage):
    autolabel(data, tmp_path)
    expected = labels(tmp_path)
    path = tmp_path / "final_outputs" / "drive3.txt"
    untouched = tmp_path / "final_outputs" / "drive4.txt"
    before = untouched.stat().st_mtime_ns
    if damage == "deleted":
        path.unlink()
    else:
        os.truncate(path, 0 if damage == "emptied" else path.stat().st_size - 1)
    assert autolabel(data, tmp_path) == 0
    assert labels(tmp_path) == expected
    assert untouched.stat().st_mtime_ns == before


def test_a_raw_result_that_is_gone_is_made_again(data, tmp_path):
    autolabel(data, tmp_path)
    expected = labels(tmp_path)
    (tmp_path / "tmp" / "raw_results" / "drive3.json").unlink()
    autolabel(data, tmp_path)
    assert labels(tmp_path) == expected


def test_deleted_tables_are_made_again(data, tmp_path):
    autolabel(data, tmp_path)
    expected = labels(tmp_path)
    for name in ("meta_actions.parquet", "clips.parquet"):
        (tmp_path / name).unlink()
        autolabel(data, tmp_path)
        assert labels(tmp_path) == expected


def test_a_changed_source_is_labelled_again(own_data, tmp_path):
    autolabel(own_data, tmp_path / "out")
    write_csv(own_data, "drive2", lively_drive(50))
    autolabel(own_data, tmp_path / "out", "--cache_dir", tmp_path / "cache")
    write_csv(own_data, "drive2", lively_drive(51))
    autolabel(own_data, tmp_path / "out", "--cache_dir", tmp_path / "cache")
    autolabel(own_data, tmp_path / "fresh")
    assert labels(tmp_path / "out") == labels(tmp_path / "fresh")


def test_a_source_that_became_unusable_loses_its_labels(own_data, tmp_path):
    autolabel(own_data, tmp_path / "out")
    (own_data / "drive2.csv").write_text("nonsense\n")
    assert autolabel(own_data, tmp_path / "out") == 1
    assert not [name for name in labels(tmp_path / "out") if "drive2." in name]
    assert "drive2" not in pq.read_table(tmp_path / "out" / "meta_actions.parquet").column("clip_id").to_pylist()


def test_clips_of_a_recording_that_became_shorter_go(tmp_path):
    write_csv(tmp_path / "data", "long", lively_drive(1, 40.0))
    autolabel(tmp_path / "data", tmp_path / "out")
    write_csv(tmp_path / "data", "long", lively_drive(1, 20.0))
    autolabel(tmp_path / "data", tmp_path / "out")
    autolabel(tmp_path / "data", tmp_path / "fresh")
    assert labels(tmp_path / "out") == labels(tmp_path / "fresh")


def test_foreign_files_among_the_raw_results_are_left_alone(data, tmp_path):
    autolabel(data, tmp_path / "fresh")
    foreign = tmp_path / "out" / "tmp" / "raw_results"
    foreign.mkdir(parents=True)
    (foreign / "stranger.json").write_text('["StopTemporal(ego at 0-9)"]')
    (foreign / "notes.txt").write_text("mine")
    autolabel(data, tmp_path / "out")
    found = labels(tmp_path / "out")
    assert found.pop("tmp/raw_results/stranger.json") == b'["StopTemporal(ego at 0-9)"]'
    assert found.pop("tmp/raw_results/notes.txt") == b"mine"
    assert found == labels(tmp_path / "fresh")


def test_two_workers_write_what_one_writes(data, tmp_path, monkeypatch):
    monkeypatch.setattr("meta_action.run.SOURCES_PER_WORKER", 1)
    autolabel(data, tmp_path / "one", workers=1)
    autolabel(data, tmp_path / "two", workers=2)
    assert labels(tmp_path / "one") == labels(tmp_path / "two")
    assert (tmp_path / "one" / "clips.parquet").read_bytes() == (tmp_path / "two" / "clips.parquet").read_bytes()


def test_shards_are_a_partition_of_the_whole(data, tmp_path):
    autolabel(data, tmp_path / "whole")
    whole = labels(tmp_path / "whole")
    whole.pop("meta_actions.parquet")
    parts = []
    for i in range(2):
        assert autolabel(data, tmp_path / f"part{i}", "--shard", f"{i}/2") == 0
        parts.append(labels(tmp_path / f"part{i}"))
        assert summary(tmp_path / f"part{i}", f".shard-{i}-of-2")["config"]["shard"] == f"{i}/2"
    assert parts[0]
    assert parts[1]
    assert not parts[0].keys() & parts[1].keys()
    assert parts[0] | parts[1] == whole


def test_shards_in_one_folder_share_texts_and_keep_their_tables_apart(data, tmp_path):
    autolabel(data, tmp_path / "whole")
    for i in range(2):
        autolabel(data, tmp_path / "out", "--shard", f"{i}/2")
    assert texts(tmp_path / "out" / "final_outputs") == texts(tmp_path / "whole" / "final_outputs")
    counts = [summary(tmp_path / "out", f".shard-{i}-of-2")["counts"] for i in range(2)]
    assert sum(count["done"] for count in counts) == CLIPS
    assert sum(count["rejected"] for count in counts) == 1
    rows = [pq.read_table(tmp_path / "out" / f"clips.shard-{i}-of-2.parquet").num_rows for i in range(2)]
    assert sum(rows) == CLIPS + 1


def test_a_list_of_clips_with_unknown_blank_and_repeated_lines(data, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("drive1\n\ndrive3\nnobody\ndrive1\n")
    code = autolabel(data, tmp_path / "out", "--scene_list", tmp_path / "list.txt")
    assert code == 1
    assert sorted(texts(tmp_path / "out" / "final_outputs")) == ["drive1", "drive3"]
    written = summary(tmp_path / "out")
    assert written["ids"]["failed"] == {"unknown_id": ["nobody"]}
    assert "list.txt: no clip of this id" in written["messages"]["nobody"]
    notes = capsys.readouterr().err
    assert "1 repeated ids, each taken once: drive1" in notes
    assert "1 blank lines skipped: 2" in notes
    assert len(written["notices"]) == 2


def test_a_list_adds_to_what_is_there(data, tmp_path):
    autolabel(data, tmp_path / "whole")
    for clip_ids in ("drive0\ndrive1\n", "drive5\n"):
        (tmp_path / "list.txt").write_text(clip_ids)
        assert autolabel(data, tmp_path / "out", "--scene_list", tmp_path / "list.txt") == 0
    assert sorted(texts(tmp_path / "out" / "final_outputs")) == ["drive0", "drive1", "drive5"]
    assert len(set(pq.read_table(tmp_path / "out" / "clips.parquet").column("clip_id").to_pylist())) == 3
    autolabel(data, tmp_path / "out")
    assert labels(tmp_path / "out") == labels(tmp_path / "whole")


def test_a_list_may_name_one_clip_of_a_long_recording(tmp_path):
    write_csv(tmp_path / "data", "long-drive", lively_drive(1, 60.0))
    (tmp_path / "list.txt").write_text("long-drive-20\n")
    assert autolabel(tmp_path / "data", tmp_path / "out", "--scene_list", tmp_path / "list.txt") == 0
    assert list(texts(tmp_path / "out" / "final_outputs")) == ["long-drive-20"]


def test_a_list_may_name_clips_of_an_archive(tmp_path):
    write_chunk(tmp_path / "data", {uuid_like(i): ego_parquet(lively_drive(i)) for i in range(5)})
    (tmp_path / "list.txt").write_text(uuid_like(3))
    autolabel(tmp_path / "data", tmp_path / "out", "--scene_list", tmp_path / "list.txt", dataset="pai")
    assert list(texts(tmp_path / "out" / "final_outputs")) == [uuid_like(3)]


def test_the_cache_is_used_and_changes_nothing(data, tmp_path, monkeypatch):
    autolabel(data, tmp_path / "plain")
    autolabel(data, tmp_path / "first", "--cache_dir", tmp_path / "cache")

    def unexpected(self, source):
        raise AssertionError(f"{source} was read")

    monkeypatch.setattr(TableDataset, "read_ego", unexpected)
    autolabel(data, tmp_path / "second", "--cache_dir", tmp_path / "cache")
    assert labels(tmp_path / "plain") == labels(tmp_path / "first") == labels(tmp_path / "second")


def test_another_selection_in_the_same_folder_leaves_the_first_alone(data, tmp_path):
    autolabel(data, tmp_path)
    expected = texts(tmp_path / "final_outputs")
    autolabel(data, tmp_path, names=("stop",))
    assert texts(tmp_path / "final_outputs") == expected
    autolabel(data, tmp_path)
    assert texts(tmp_path / "final_outputs") == expected
    assert not leftovers(tmp_path)
