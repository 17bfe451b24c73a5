import subprocess
import sys
from pathlib import Path

import pytest

from builders.commands import summary
from builders.pictures import UNFILMED
from coc_labeling.pictures.command import build_parser, main

SCRIPT = Path(__file__).parents[3] / "scripts" / "vis_video_pai.py"


def test_the_script_lists_its_arguments():
    shown = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    for flag in ("physical_ai_root", "meta_action_dir", "vis_dir", "cache_dir", "work_root", "num_workers"):
        assert f"--{flag}" in shown
    assert "--clip_list_path" in shown


def test_relative_paths_start_from_the_work_root(elsewhere, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{UNFILMED}\n")
    arguments = {
        "--physical_ai_root": elsewhere.data,
        "--meta_action_dir": elsewhere.inputs.meta_action_dir,
        "--vis_dir": "pictures",
        "--cache_dir": "cache",
        "--clip_list_path": "list.txt",
        "--work_root": tmp_path,
        "--num_workers": 1,
        "--fps": 0.1,
    }
    assert main([str(part) for pair in arguments.items() for part in pair]) == 0
    assert (tmp_path / "pictures" / f"{UNFILMED}.mp4").stat().st_size > 0
    assert (tmp_path / "cache").is_dir()
    assert "1 clips done" in capsys.readouterr().out
    assert summary(tmp_path / "pictures")["command"] == "vis_video_pai.py"


def test_exit_codes(elsewhere, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("nobody\n")
    usual = ["--physical_ai_root", str(elsewhere.data), "--meta_action_dir", str(elsewhere.inputs.meta_action_dir)]
    usual += ["--vis_dir", str(tmp_path / "vis")]
    assert main([*usual, "--clip_list_path", str(tmp_path / "list.txt")]) == 2
    assert main([*usual, "--work_root", str(tmp_path / "none")]) == 2
    assert "--work_root" in capsys.readouterr().err


def test_arguments_are_not_abbreviated():
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--physical_ai_root", "a", "--meta_action_dir", "b", "--vis", "c"])
