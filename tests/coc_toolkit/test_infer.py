import errno
import json

import pytest
from typer.testing import CliRunner

from alpamayo_r1 import extras
from alpamayo_r1.infer.results import RowFile
from alpamayo_r1.scenes import MODEL_CAMERAS
from builders.predictions import StraightOn, tiny_config
from builders.reasoning_scenes import CLIPS, pai_with_cameras
from coc_toolkit import infer_command
from coc_toolkit.cli import app


@pytest.fixture(scope="module")
def pai(tmp_path_factory):
    return pai_with_cameras(tmp_path_factory.mktemp("pai"), CLIPS[:2], cameras=MODEL_CAMERAS[1:2])


@pytest.fixture
def coc_infer(pai, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "require", lambda: None)
    monkeypatch.setattr(infer_command, "open_predictor", lambda request: StraightOn())

    def run(*options):
        places = ["--checkpoint", tiny_config(tmp_path / "tiny"), "--data_dir", pai, "--out", tmp_path / "out"]
        cameras = ["--cameras", MODEL_CAMERAS[1]]
        return CliRunner().invoke(app, [str(word) for word in ("infer", *places, *cameras, *options)])

    return run


def test_a_line_and_a_picture_for_each_moment(coc_infer, tmp_path):
    result = coc_infer("--t0_us", "3000000", "--t0_us", "4000000", "--num_traj_samples", "2", "--pictures", "3")
    assert result.exit_code == 0, result.output
    assert "4 scenes done" in result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert {(row["clip_id"], row["t0_us"]) for row in rows} == {
        (c, t) for c in CLIPS[:2] for t in (3_000_000, 4_000_000)
    }
    pictures = sorted((tmp_path / "out" / "pictures").rglob("*.png"))
    assert len(pictures) == 3
    assert pictures[0].parent.name in CLIPS


def test_the_same_command_goes_on_and_another_one_does_not(coc_infer):
    assert coc_infer().exit_code == 0
    again = coc_infer()
    assert again.exit_code == 0
    assert "2 scenes done (0 now" in again.output
    other = coc_infer("--temperature", "0.9")
    assert other.exit_code == 2
    assert "cannot go on here" in other.output


def test_scenes_that_cannot_be_done_have_an_exit_code(coc_infer):
    result = coc_infer("--t0_us", "100")
    assert result.exit_code == 2, "nothing came of it"
    assert "history_too_short (2)" in result.output
    result = coc_infer("--t0_us", "100", "--t0_us", "4000000")
    assert result.exit_code == 0, "rejected is an honest no"


def test_keyframes_without_a_moment_are_no_success(coc_infer, tmp_path):
    (tmp_path / "keyframes.json").write_text("{}")
    result = coc_infer("--keyframes", tmp_path / "keyframes.json")
    assert result.exit_code == 2
    assert "no scene is asked for" in result.output


def test_where_no_clip_has_such_a_camera_it_is_said_what_to_do(coc_infer):
    result = coc_infer("--cameras", "roof")
    assert result.exit_code == 2
    assert "no video of roof" in result.output
    assert "Name the cameras that the clips have" in result.output


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(coc_infer, monkeypatch):
    def full(self, row):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "write", full)
        result = coc_infer()
    assert result.exit_code == 1
    assert "the disk is full" in result.output
    assert "2 scenes done (2 now" in coc_infer().output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--every", "1", "--t0_us", "1"], "give one of them"),
        (["--dtype", "int3"], "expected auto, bfloat16, float32"),
        (["--attn_implementation", "magic"], "expected auto, sdpa, eager, flash_attention_2"),
        (["--top_p", "0"], "top_p=0.0"),
        (["--max_generation_length", "1"], "max_generation_length=1: expected at least 2"),
        (["--every", "nan"], "--every nan: expected s between moments"),
        (["--every", "inf"], "--every inf"),
        (["--shard", "5/2"], "--shard"),
        (["--cameras", "a,a"], "each once"),
        (["--keyframes", "/nowhere.json"], "no such keyframe file"),
        (["--scene_list", "/nowhere.txt"], "one clip id per line"),
    ],
)
def test_what_cannot_be_asked_is_said(coc_infer, options, said):
    result = coc_infer(*options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_the_extra_that_is_missing_is_named(pai, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    places = ["--checkpoint", tiny_config(tmp_path / "tiny"), "--data_dir", pai, "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [str(word) for word in ("infer", *places)])
    assert result.exit_code == 2
    assert "pip install 'coc-toolkit[model]'" in " ".join(result.output.split())
