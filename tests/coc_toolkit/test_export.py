import json

import pytest

from builders.coc import coc
from builders.exports import experiment, filmed


@pytest.fixture
def run(tmp_path):
    return experiment(tmp_path, ["clip-a", "clip-b"])


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "reasoning-parquet", "label-studio"])
def test_the_command_writes_a_dataset_and_its_card(run, tmp_path, format_name):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    plain = ("--images", "none") if format_name == "label-studio" else ()
    answer = coc("export", run, "--format", format_name, *plain, "--out", tmp_path / "out", "--splits", "sft=1")
    assert answer.code == 0, answer.err
    assert "3 labels of 2 clips exported" in answer.out
    assert (tmp_path / "out" / "README.md").exists()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--format", "xlsx"), "xlsx"),
        (("--format", "jsonl", "--only", "accepted"), "accepted"),
        (("--format", "jsonl", "--splits", "sft=zero"), "sft"),
        (("--format", "jsonl", "--balance", "weather"), "--balance"),
        (("--format", "sft-chat", "--components", "cot"), "--components"),
        (("--format", "sft-chat", "--times", "-0.1,0.5"), "after the keyframe"),
        (("--format", "sft-chat", "--cameras", "../front"), "--cameras"),
        (("--format", "sft-chat", "--num_workers", "0"), "--num_workers"),
        (("--format", "sft-chat"), "--data_dir"),
        (("--format", "hf", "--images", "png"), "--images"),
        (("--format", "sft-chat", "--images", "none"), "these formats take it: hf, webdataset, label-studio"),
        (("--format", "csv", "--components", "image,cot"), "these formats take it: sft-chat"),
        (("--format", "hf", "--components", "image,cot"), "these formats take it: sft-chat"),
        (("--format", "webdataset", "--images", "paths"), "webdataset has bytes or none (paths: hf, label-studio)"),
        (("--format", "label-studio", "--images", "bytes"), "label-studio has paths or none (bytes: hf, webdataset)"),
        (("--format", "jsonl", "--times", "0"), "take it: sft-chat, hf, webdataset, label-studio"),
        (("--format", "csv", "--cameras", "front"), "--cameras is no option of --format csv"),
        (("--format", "reasoning-parquet", "--video_dir", "videos"), "--video_dir is no option of"),
        (("--format", "hf", "--images", "none", "--times", "0"), "--times: no frames are exported"),
        (("--format", "sft-chat", "--components", "prompt,cot", "--cameras", "front"), "--cameras: no frames"),
    ],
)
def test_what_cannot_be_exported_is_said(run, tmp_path, changes, said):
    answer = coc("export", run, "--out", tmp_path / "out", *changes)
    assert (answer.code, said in answer.err) == (2, True)
    assert not (tmp_path / "out" / "README.md").exists()


def test_conversations_with_frames(tmp_path):
    run = filmed(tmp_path, ["clip-a", "clip-b"], unfilmed=("clip-b",))
    options = ("--format", "sft-chat", "--components", "image,prompt,cot", "--times", "-0.2,0", "--num_workers", 1)
    answer = coc("export", run, *options, "--out", tmp_path / "out", "--splits", "sft=1")
    assert answer.code == 0, answer.err
    assert "2 labels of 1 clips exported: sft 2" in answer.out
    assert "left out: no video of camera_front_wide_120fov (1)" in answer.out
    asked = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (asked["times_sec"], asked["components"], asked["frames"]) == ([-0.2, 0.0], ["image", "prompt", "cot"], 4)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    answer = coc("export", tmp_path / "nothing", "--format", "jsonl", "--out", tmp_path / "out")
    assert (answer.code, str(tmp_path / "nothing") in answer.err) == (2, True)
