import shutil
from pathlib import Path

import pytest

from builders.coc import coc
from builders.commands import autolabel, contents, labels, summary
from builders.runs import only_run, records_in, rows_of, table_of

SHARDS = 3


@pytest.fixture(scope="module")
def apart(inputs, tmp_path_factory):
    """Three shards of Steps 1 and 3, each in a folder of its own, and Step 3 as a whole; tests only read them."""
    root = tmp_path_factory.mktemp("apart")
    for index in range(SHARDS):
        assert autolabel(inputs.data_dir, root / "meta" / str(index), "--shard", f"{index}/{SHARDS}") == 0
        assert inputs.label(root / "label" / str(index), shard=f"{index}/{SHARDS}") == 0
    assert inputs.label(root / "whole") == 0
    return root


def label_shards(apart: Path, *indices: int) -> list[Path]:
    return [only_run(apart / "label" / str(index)) for index in indices or range(SHARDS)]


def meta_shards(apart: Path, *indices: int) -> list[Path]:
    return [apart / "meta" / str(index) for index in indices or range(SHARDS)]


def test_label_shards_of_separate_folders_become_the_whole(apart, tmp_path):
    answer = coc("merge", *label_shards(apart), "--out", tmp_path / "all")
    assert answer.code == 0, answer.err
    assert f"merged into: {tmp_path}/all" in answer.out
    assert records_in(tmp_path / "all") == records_in(apart / "whole")
    assert rows_of(tmp_path / "all") == rows_of(only_run(apart / "whole"))


def test_merging_takes_nothing_from_the_shards(apart, tmp_path):
    before = contents(apart)
    coc("merge", *label_shards(apart), "--out", tmp_path / "all")
    coc("merge", *meta_shards(apart), "--out", tmp_path / "meta")
    assert contents(apart) == before


def test_rows_of_merged_labels_are_trusted(inputs, apart, tmp_path):
    coc("merge", *label_shards(apart), "--out", tmp_path / "all")
    for row in table_of(tmp_path / "all").to_pylist():
        status = (tmp_path / "all" / row["clip_id"] / f"cot_{row['event_start_timestamp']}.yaml").stat()
        assert (status.st_size, status.st_mtime_ns) == (row["file_size"], row["file_mtime_ns"])


def test_a_merged_experiment_can_be_resumed_and_has_nothing_left_to_do(inputs, apart, tmp_path, capsys):
    coc("merge", *label_shards(apart), "--out", tmp_path / "all")
    assert inputs.label(tmp_path, resume_exp_dir=tmp_path / "all") == 0
    assert "(0 now" in capsys.readouterr().out


def test_label_shards_of_one_folder_become_the_whole(inputs, apart, tmp_path):
    assert inputs.label(tmp_path, shard="0/2") == 0
    assert inputs.label(tmp_path, shard="1/2", resume_exp_dir=only_run(tmp_path)) == 0
    assert coc("merge", only_run(tmp_path)).code == 0
    assert records_in(tmp_path) == records_in(apart / "whole")
    assert rows_of(only_run(tmp_path)) == rows_of(only_run(apart / "whole"))


def test_meta_action_shards_of_separate_folders_become_the_whole(inputs, apart, tmp_path):
    assert coc("merge", *meta_shards(apart), "--out", tmp_path / "all").code == 0
    merged, whole = labels(tmp_path / "all"), labels(inputs.root / "meta_actions")
    assert {k: v for k, v in merged.items() if "raw_results" not in k} == {
        k: v for k, v in whole.items() if "raw_results" not in k
    }


def test_meta_action_shards_of_one_folder_become_the_whole(inputs, tmp_path):
    for index in range(2):
        assert autolabel(inputs.data_dir, tmp_path, "--shard", f"{index}/2") == 0
    assert coc("merge", tmp_path).code == 0
    assert labels(tmp_path) == labels(inputs.root / "meta_actions")


def test_merged_meta_actions_can_be_resumed_and_have_nothing_left_to_do(inputs, apart, tmp_path, capsys):
    coc("merge", *meta_shards(apart), "--out", tmp_path / "all")
    before = contents(tmp_path / "all")
    assert autolabel(inputs.data_dir, tmp_path / "all") == 0
    assert "(0 now" in capsys.readouterr().out
    assert contents(tmp_path / "all")["meta_actions.parquet"] == before["meta_actions.parquet"]


@pytest.mark.parametrize("kind", ["label", "meta"])
def test_missing_shards_are_named_and_make_the_exit_code_1(apart, tmp_path, kind):
    folders = (label_shards if kind == "label" else meta_shards)(apart, 1)
    answer = coc("merge", *folders, "--out", tmp_path / "all")
    assert answer.code == 1
    assert "missing shards: 0, 2." in answer.err
    assert summary(tmp_path / "all")["missing_shards"] == [0, 2]
    assert summary(tmp_path / "all")["merged_shards"] == [1]


def test_missing_shards_can_be_merged_in_later(apart, tmp_path):
    assert coc("merge", *label_shards(apart, 0, 2), "--out", tmp_path / "all").code == 1
    assert coc("merge", *label_shards(apart), "--out", tmp_path / "all").code == 0
    assert rows_of(tmp_path / "all") == rows_of(only_run(apart / "whole"))


def test_the_merged_summary_adds_up(apart, tmp_path):
    coc("merge", *label_shards(apart), "--out", tmp_path / "all")
    told, whole = summary(tmp_path / "all"), summary(only_run(apart / "whole"))
    assert told["command"] == "coc merge"
    assert told["counts"] == whole["counts"]
    assert told["ids"] == whole["ids"]


def test_one_shard_given_twice_is_refused(apart, tmp_path):
    shutil.copytree(label_shards(apart, 0)[0], tmp_path / "copy")
    answer = coc("merge", *label_shards(apart), tmp_path / "copy", "--out", tmp_path / "all")
    assert answer.code == 2
    assert "shard 0 is there twice" in answer.err


def test_a_damaged_shard_is_named(apart, tmp_path):
    shutil.copytree(label_shards(apart, 0)[0], tmp_path / "copy")
    (tmp_path / "copy" / f"labels.shard-0-of-{SHARDS}.parquet").write_bytes(b"torn")
    answer = coc("merge", tmp_path / "copy", "--out", tmp_path / "all")
    assert answer.code == 2
    assert f"labels.shard-0-of-{SHARDS}.parquet" in answer.err


def test_a_record_that_a_shard_lost_is_named(apart, tmp_path):
    shutil.copytree(label_shards(apart, 0)[0], tmp_path / "copy")
    lost = next((tmp_path / "copy").rglob("cot_*.yaml"))
    lost.unlink()
    answer = coc("merge", tmp_path / "copy", "--out", tmp_path / "all")
    assert answer.code in (1, 2)
    assert lost.name in answer.err


def test_shards_by_different_agents_are_not_mixed(inputs, apart, tmp_path):
    assert inputs.label(tmp_path / "dummy", shard=f"1/{SHARDS}", model_name="dummy") == 0
    answer = coc("merge", *label_shards(apart, 0, 2), only_run(tmp_path / "dummy"), "--out", tmp_path / "all")
    assert answer.code == 2
    assert "model_name" in answer.err


def test_a_folder_without_shards_is_refused(apart, tmp_path):
    (tmp_path / "other").mkdir()
    answer = coc("merge", *label_shards(apart), tmp_path / "other", "--out", tmp_path / "all")
    assert answer.code == 2
    assert f"no shards in {tmp_path}/other" in answer.err


def test_an_interrupted_shard_counts_as_missing(apart, tmp_path):
    copies = [Path(shutil.copytree(path, tmp_path / path.name)) for path in meta_shards(apart)]
    (copies[1] / "run_summary.shard-1-of-3.json").unlink()  # what a shard has not written when it is stopped
    answer = coc("merge", *copies, "--out", tmp_path / "all")
    assert answer.code == 1
    assert "missing shards: 1" in answer.err
