import json
import shutil

import pytest

from builders.commands import autolabel
from builders.golden import GOLDEN, TRAJECTORY_TEXTS, trajectories
from builders.table import write_trajectory
from coc_labeling.keyframe_auto_select import main
from meta_action.names import BY_NAME

FILES = ("segments_relative_timestamp_all.json", "segments_relative_timestamp_sampled.json")
TOP5 = ("--target_count", "5", "--min_duration", "15", "--min_start_ts", "0", "--max_start_ts", "180")


def select(meta_action_dir, output_dir, *options) -> int:
    return main(["--meta_action_dir", str(meta_action_dir), "--output_dir", str(output_dir), *options])


@pytest.fixture(scope="module")
def step1(tmp_path_factory):
    """The golden trajectories' own run of Step 1, with its table."""
    root = tmp_path_factory.mktemp("step1")
    for clip_id, trajectory in trajectories().items():
        write_trajectory(root / "data", clip_id, trajectory)
    assert autolabel(root / "data", root / "out") == 0
    return root / "out"


@pytest.mark.parametrize("golden", ["keyframes", "keyframes_top5"])
@pytest.mark.parametrize("source", ["texts", "parquet", "parquet beside the texts"])
def test_golden_keyframes(golden, source, step1, tmp_path):
    folder = {"texts": TRAJECTORY_TEXTS, "parquet": step1, "parquet beside the texts": step1 / "final_outputs"}[source]
    assert select(folder, tmp_path, *(TOP5 if golden == "keyframes_top5" else ())) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (GOLDEN / golden / name).read_bytes()


def test_old_results_are_never_reused(step1, tmp_path):
    select(step1, tmp_path)
    before = (tmp_path / FILES[0]).read_bytes()
    select(step1, tmp_path, "--min_duration", "30")
    after = json.loads((tmp_path / FILES[0]).read_text())
    assert (tmp_path / FILES[0]).read_bytes() != before
    assert all(entry["duration"] >= 30 for entries in after.values() for entry in entries)


def test_some_actions_only(step1, tmp_path):
    assert select(step1, tmp_path, "--actions", "stop", "Wait", "steer_left") == 0
    assert list(json.loads((tmp_path / FILES[0]).read_text())) == ["steer_left", "stop"]


def test_the_result_is_told(step1, tmp_path, capsys):
    select(step1, tmp_path)
    said = capsys.readouterr().out
    assert all(name in said for name in BY_NAME)
    assert all(str(tmp_path / name) in said for name in FILES)


def test_the_lead_is_in_seconds(step1, tmp_path):
    select(step1, tmp_path / "plain")
    select(step1, tmp_path / "early", "--lead_sec", "1.5")
    plain, early = (json.loads((tmp_path / name / FILES[0]).read_text()) for name in ("plain", "early"))
    starts = [[e["event_start_frame"] for es in some.values() for e in es] for some in (plain, early)]
    assert starts[1] == [start - 15 for start in starts[0]]


def test_merging_leaves_no_two_keyframes_of_a_clip_within_half_a_second(step1, tmp_path):
    select(step1, tmp_path, "--merge")
    moments: dict[str, list[int]] = {}
    for entries in json.loads((tmp_path / FILES[0]).read_text()).values():
        for entry in entries:
            moments.setdefault(entry["clip_id"], []).append(entry["event_start_frame"])
    for frames in moments.values():
        assert all(b - a >= 5 for a, b in zip(sorted(frames), sorted(frames)[1:], strict=False))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--actions", "fly"), "unknown meta-action name: 'fly'"),
        (("--target_count", "-1"), "--target_count -1: expected 0 or more"),
        (("--lead_sec", "-1"), "--lead_sec -1.0: expected 0 to 20 s"),
        (("--lead_sec", "nan"), "--lead_sec"),
        (("--lead_sec", "inf"), "--lead_sec"),
    ],
)
def test_wrong_arguments_are_two_and_named(step1, tmp_path, capsys, options, said):
    assert select(step1, tmp_path / "out", *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_is_two_and_named(tmp_path, capsys):
    assert select(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert select(tmp_path, tmp_path / "out") == 2
    assert "run meta-action-autolabel first" in capsys.readouterr().err


def test_a_damaged_text_is_two_and_named(tmp_path, capsys):
    shutil.copytree(TRAJECTORY_TEXTS, tmp_path / "texts")
    (tmp_path / "texts" / "zz.txt").write_text("  Stop - Agent:<ego>, Start:0\n")
    assert select(tmp_path / "texts", tmp_path / "out") == 2
    assert "zz.txt, line 1" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made_is_two(step1, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert select(step1, tmp_path / "file" / "out") == 2
    assert "cannot be written to" in capsys.readouterr().err
