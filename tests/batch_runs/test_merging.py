import pytest

from batch_runs.merging import find_shards, read_summaries
from batch_runs.outcomes import MAX_IDS_IN_SUMMARY, Tally, write_summary
from driving_clips.errors import DatasetError


def touch(folder, *names: str) -> str:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return str(folder)


def labels(index: int, count: int = 3) -> str:
    return f"labels.shard-{index}-of-{count}.parquet"


def test_shards_of_one_folder_are_found(tmp_path):
    found = find_shards([touch(tmp_path, labels(2), labels(0), labels(1))], "labels", "parquet")
    assert found.count == 3
    assert found.missing == []
    assert found.paths[2].endswith(labels(2))


def test_shards_of_several_folders_are_found(tmp_path):
    folders = [touch(tmp_path / str(i), labels(i)) for i in range(3)]
    assert find_shards(folders, "labels", "parquet").missing == []


def test_missing_shards_are_named(tmp_path):
    assert find_shards([touch(tmp_path, labels(1, 4))], "labels", "parquet").missing == [0, 2, 3]


def test_other_files_are_no_shards(tmp_path):
    names = [
        "labels.parquet",
        "labels.shard-0-of-2.json",
        "other.shard-0-of-2.parquet",
        ".labels.shard-0-of-2.parquet.tmp",
    ]
    assert find_shards([touch(tmp_path, *names)], "labels", "parquet") is None


def test_a_folder_that_is_not_there_has_none():
    assert find_shards(["/nowhere"], "labels", "parquet") is None


def test_one_shard_twice_is_refused_with_both_places(tmp_path):
    folders = [touch(tmp_path / name, labels(0)) for name in "ab"]
    with pytest.raises(DatasetError, match=r"shard 0 is there twice: .*/a/.* and .*/b/"):
        find_shards(folders, "labels", "parquet")


def test_one_folder_given_twice_counts_once(tmp_path):
    folder = touch(tmp_path, labels(0, 1 + 1))
    assert find_shards([folder, f"{folder}/"], "labels", "parquet").missing == [1]


def test_shards_of_different_counts_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"different counts .*of-2.*of-3"):
        find_shards([touch(tmp_path, labels(0, 2), labels(0, 3))], "labels", "parquet")


def summarise(folder, index: int, tally: Tally) -> None:
    write_summary(str(folder / f"run_summary.shard-{index}-of-2.json"), "test", {"shard": index}, tally, unit="clips")


def test_summaries_are_added_up_with_ids_and_messages(tmp_path):
    for index in range(2):
        tally = Tally()
        tally.add("done", "labelled", f"clip_{index}")
        tally.add("rejected", "hole", f"bad_{index}", f"a hole in {index}")
        summarise(tmp_path, index, tally)
    tally, configs = read_summaries(find_shards([str(tmp_path)], "run_summary", "json"))
    assert tally.by_reason["done"] == {"labelled": {"clip_0": "", "clip_1": ""}}
    assert tally.by_reason["rejected"]["hole"]["bad_1"] == "a hole in 1"
    assert configs == [{"shard": 0}, {"shard": 1}]


@pytest.mark.parametrize("content", ["", "{torn", "[]", "{}", '{"config": {}, "ids": [], "messages": {}}'])
def test_a_file_that_is_no_summary_is_named(tmp_path, content):
    (tmp_path / "run_summary.shard-0-of-2.json").write_text(content)
    with pytest.raises(DatasetError, match=r"run_summary\.shard-0-of-2\.json"):
        read_summaries(find_shards([str(tmp_path)], "run_summary", "json"))


def test_ids_in_side_files_are_added_up_too(tmp_path):
    tally = Tally()
    for number in range(MAX_IDS_IN_SUMMARY + 1):
        tally.add("failed", "corrupt", f"clip_{number}", f"message\twith tab {number}")
    summarise(tmp_path, 0, tally)
    merged, _ = read_summaries(find_shards([str(tmp_path)], "run_summary", "json"))
    assert merged.by_reason == tally.by_reason


def test_a_message_of_several_lines_keeps_its_id_in_a_side_file(tmp_path):
    tally = Tally()
    for number in range(MAX_IDS_IN_SUMMARY + 1):
        tally.add("failed", "corrupt", f"clip_{number}", "first\nsecond")
    summarise(tmp_path, 0, tally)
    merged, _ = read_summaries(find_shards([str(tmp_path)], "run_summary", "json"))
    assert set(merged.by_reason["failed"]["corrupt"]) == set(tally.by_reason["failed"]["corrupt"])
