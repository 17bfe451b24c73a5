import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders.runs import Inputs, only_run, records_in, rows_of, write_keyframes, write_segments
from coc_labeling.data_labeling import main

CLIPS = 4
TICKS = range(0, 200, 4)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "experiments"


def test_the_command_labels_and_says_where_the_labels_are(inputs, out, capsys):
    assert inputs.label(out) == 0
    printed = capsys.readouterr().out
    assert " windows done " in printed
    assert f"labels: {only_run(out)}" in printed
    assert f"summary: {only_run(out)}/run_summary.json" in printed


def test_the_meta_action_filter_works_as_typed_in_the_readme(inputs, out):
    assert inputs.label(out, **{"data_loader.keyframe.meta_action_filter": "[stop]"}) == 0
    rows = rows_of(only_run(out))
    assert rows
    assert all("stop" in row["meta_actions"] for row in rows)


def test_a_filter_that_nothing_passes_is_told(inputs, out, capsys):
    assert inputs.label(out, **{"data_loader.keyframe.meta_action_filter": "[turn_left]"}) == 2
    assert "passes the filters (meta_action_filter=['turn_left']" in capsys.readouterr().err


def test_keys_without_effect_are_named_once(inputs, out, capsys):
    assert inputs.label(out, server_ip="127.0.0.1") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert len(told) == 1
    assert "server_ip" in told[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model_name=gpt9"], "unknown model_name 'gpt9'; known: rules, qwen"),
        (["model_name=rules"], "required and not set: data.data_dir, data.meta_action_dir"),
        (["modelname=rules"], "unknown configuration key 'modelname'"),
        (["timeout_sec=abc"], "timeout_sec='abc'"),
        (["--config-name=nope"], "There are: base_config_vlm, base_config_vlm_rel_ts"),
        (["--config-dir=/nowhere"], "/nowhere: no such folder"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_arguments_are_answered_with_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--bogus"], ["--cfg", "all"]])
def test_unknown_options_are_answered_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m coc_labeling.data_labeling" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("data.data_dir", "/nowhere", "/nowhere"),
        ("data.dataset_name", "kitti", "kitti"),
        ("data.meta_action_dir", "/nowhere", "must be the final_outputs folder of Step 1"),
        ("data.segment_config_path", "/nowhere.json", "no such keyframe file"),
        ("data_loader.keyframe.meta_action_filter", "[fly]", "Legal names"),
        ("resume_exp_dir", "gone", "no such folder"),
    ],
)
def test_inputs_that_are_not_there_are_answered_with_exit_code_2(inputs, out, capsys, setting, value, message):
    assert inputs.label(out, **{setting: value}) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_an_output_root_that_cannot_be_written_to_is_named(inputs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert inputs.label(tmp_path / "file" / "below") == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_strict_counts_rejected_windows_as_failed(inputs, out, tmp_path):
    path = write_keyframes(tmp_path / "k.json", {"stop": [("clip_1", 50), ("clip_1", 250)]})
    assert inputs.label(out / "1", **{"data.segment_config_path": path}) == 0
    assert inputs.label(out / "2", **{"data.segment_config_path": path, "strict": "true"}) == 1


def test_a_failed_window_makes_the_exit_code_1(inputs, out, tmp_path, capsys):
    path = write_keyframes(tmp_path / "k.json", {"stop": [("clip_1", 50), ("ghost", 50)]})
    assert inputs.label(out, **{"data.segment_config_path": path}) == 1
    assert "failed: unknown_clip (1)" in capsys.readouterr().out


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory) -> Path:
    """A run over many windows that nothing happens to; tests only read it."""
    out = tmp_path_factory.mktemp("whole")
    assert inputs.label(out, **every_tick(inputs, out)) == 0
    return only_run(out)


def every_tick(inputs: Inputs, tmp_path: Path) -> dict[str, str]:
    """Return settings for a window at every tick of every clip, as far as there is time in a test."""
    clips = [f"clip_{i}" for i in range(CLIPS) for _ in TICKS]
    path = write_segments(tmp_path / "all.parquet", clips, [tick * 100_000 for tick in TICKS] * CLIPS)
    return {"data_loader.keyframe.segment_generator_type": "parquet", "data.segment_list_parquet_file": str(path)}


def killed_in_the_middle(arguments: list[str], out: Path) -> int:
    """Start the command, kill it with its workers some records on; returns how many there were."""
    command = [sys.executable, "-m", "coc_labeling.data_labeling", *arguments]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end and sum(1 for _ in out.rglob("cot_*.yaml")) < 30:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return sum(1 for _ in out.rglob("cot_*.yaml"))


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_kill_the_same_command_gives_what_an_undisturbed_run_gives(inputs, whole, tmp_path, workers):
    settings = every_tick(inputs, tmp_path) | {"num_workers": workers}
    out = tmp_path / "killed"
    there = killed_in_the_middle(inputs.overrides(out, **settings), out)
    assert 0 < there < CLIPS * len(TICKS)
    survivors = {path: path.stat().st_mtime_ns for path in out.rglob("cot_*.yaml")}
    assert inputs.label(out, **settings, resume_exp_dir=only_run(out)) == 0
    assert len(records_in(whole)) == CLIPS * len(TICKS)
    assert records_in(out) == records_in(whole)
    assert rows_of(only_run(out)) == rows_of(whole)
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors
    assert not [path for path in out.rglob("*") if path.name.endswith(".arrows")]
