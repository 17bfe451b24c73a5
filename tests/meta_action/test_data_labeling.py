"""The command line of Step 1: arguments, exit codes, messages."""

import pytest

from builders.commands import autolabel, summary
from builders.driving import drive, lively_drive
from builders.table import write_csv
from meta_action.data_labeling import main
from meta_action.names import BY_NAME


@pytest.fixture
def data(tmp_path):
    for i in range(3):
        write_csv(tmp_path / "data", f"drive{i}", lively_drive(i))
    return tmp_path / "data"


def test_all_well_is_zero_and_the_result_is_told(data, tmp_path, capsys):
    assert autolabel(data, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "3 clips done (3 now" in said
    assert f"labels: {tmp_path}/out/final_outputs" in said
    assert f"summary: {tmp_path}/out/run_summary.json" in said


def test_rejected_clips_are_no_failure_unless_strict(data, tmp_path):
    write_csv(data, "short", drive(0.5))
    assert autolabel(data, tmp_path / "out") == 0
    assert autolabel(data, tmp_path / "strict", "--strict") == 1
    assert autolabel(data, tmp_path / "strict", "--strict") == 1  # the same when nothing is left to do


def test_failed_clips_are_one(data, tmp_path, capsys):
    (data / "broken.csv").write_text("nonsense\n")
    assert autolabel(data, tmp_path / "out") == 1
    assert "failed: wrong_schema (1)" in capsys.readouterr().out


def test_nothing_but_failures_is_two(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.csv").write_text("nonsense\n")
    assert autolabel(tmp_path / "data", tmp_path / "out") == 2
    assert summary(tmp_path / "out")["counts"]["failed"] == 1


@pytest.mark.parametrize("names", [("fly",), ("stop", "fly"), ("all_ego", "Fly")])
def test_an_unknown_name_ends_the_run_before_any_work(data, tmp_path, capsys, names):
    assert autolabel(data, tmp_path / "out", names=names) == 2
    error = capsys.readouterr().err
    assert "unknown meta-action name" in error
    assert all(name in error for name in ("all_ego", *BY_NAME))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [0, -3])
def test_a_number_of_workers_that_is_none_is_refused(data, tmp_path, capsys, workers):
    assert autolabel(data, tmp_path / "out", workers=workers) == 2
    assert f"--num_workers {workers}: expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_more_workers_than_cores_are_fine(data, tmp_path):
    assert autolabel(data, tmp_path / "out", workers=500) == 0


def test_missing_and_empty_and_wrong_data_folders_are_two(tmp_path, capsys):
    assert autolabel(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert autolabel(tmp_path / "file", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    assert autolabel(tmp_path / "empty", tmp_path / "out") == 2
    assert "no recordings found. Expected" in capsys.readouterr().err
    assert summary(tmp_path / "out")["reasons"]["failed"] == {"no_data": 1}


def test_a_folder_with_another_dataset_s_results_is_refused(tmp_path, capsys):
    write_csv(tmp_path / "data", "drive", lively_drive(1))
    assert autolabel(tmp_path / "data", tmp_path / "out") == 0
    assert autolabel("demo_data/comma2k19", tmp_path / "out", dataset="comma2k19") == 2
    assert "holds results of dataset table" in capsys.readouterr().err


def test_pai_without_ego_motion_is_two(tmp_path, capsys):
    (tmp_path / "data" / "camera").mkdir(parents=True)
    assert autolabel(tmp_path / "data", tmp_path / "out", dataset="pai") == 2
    assert "labels/egomotion" in capsys.readouterr().err


def test_an_unknown_dataset_lists_the_known_ones(data, tmp_path, capsys):
    assert autolabel(data, tmp_path / "out", dataset="waymo") == 2
    assert "pai, comma2k19, boreas, table" in capsys.readouterr().err


def test_a_results_folder_that_cannot_be_made_is_two(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert autolabel(data, tmp_path / "file" / "out") == 2
    assert "file/out: cannot be written to" in capsys.readouterr().err


def test_a_results_folder_on_a_read_only_file_system_is_two(data, capsys):
    assert autolabel(data, "/proc/coc-toolkit-test") == 2
    assert "/proc/coc-toolkit-test: cannot be written to" in capsys.readouterr().err


def test_a_missing_list_of_clips_is_two(data, tmp_path, capsys):
    assert autolabel(data, tmp_path / "out", "--scene_list", tmp_path / "nowhere.txt") == 2
    assert "nowhere.txt: expected a text file" in capsys.readouterr().err


def test_a_list_without_any_known_clip_is_two(data, tmp_path):
    (tmp_path / "list.txt").write_text("nobody\n")
    assert autolabel(data, tmp_path / "out", "--scene_list", tmp_path / "list.txt") == 2


@pytest.mark.parametrize("options", [("--use_lane",), ("--meta_action_names", "turn_left", "stop")])
def test_lane_actions_need_a_map(data, tmp_path, capsys, options):
    assert autolabel(data, tmp_path / "out", *options) == 2
    assert "no map for this dataset (table)" in capsys.readouterr().err


@pytest.mark.parametrize("shard", ["4", "7/4", "x/y", "-1/2"])
def test_a_shard_that_is_none_ends_with_the_usage(data, tmp_path, capsys, shard):
    with pytest.raises(SystemExit) as caught:
        autolabel(data, tmp_path / "out", f"--shard={shard}")
    assert caught.value.code == 2
    assert "expected i/n" in capsys.readouterr().err


def test_help_names_every_action_and_dataset(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out.replace("\n", "").replace(" ", "")
    assert all(name in text for name in (*BY_NAME, "all_ego", "comma2k19"))


def test_the_default_is_one_name(data, tmp_path):
    assert main(["--dataset_name", "table", "--data_dir", str(data), "--save_dir", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "go_straight_post").is_dir()
