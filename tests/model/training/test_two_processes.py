"""Two processes on the CPU, with a whole model each and with shares of one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.training import sharding
from alpamayo_r1.training.checkpoints import load_progress
from hand_made import told
from tiny_model import BASE, tiny_model, write_base
from training_rank import SHARDED, Job, write_jobs
from training_runs import losses, run, settings_of

HERE = Path(__file__).parents[1]
COMMON = ("train.steps=4", "train.save_every=2", "train.eval_every=2", "train.keep=9", "train.accumulate=2")
CHEAP = ("train.precision=bf16", "train.gradient_checkpointing=true")
CURVES = ("loss", "loss_cot", "loss_traj_future", "val_loss", "val_loss_cot", "val_loss_traj_future")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of all trainings: processes are started once for them."""
    folder = tmp_path_factory.mktemp("two")
    start, tied = folder / "checkpoint", folder / "tied"
    model = tiny_model(write_base(folder / BASE))
    model.save_pretrained(start)
    share_embeddings(model, tied)
    one, two = "stage1", "stage2"
    jobs = [
        made(folder, "two_1", one),
        made(folder, "two_1_on", one, *after(folder / "two_1")),
        made(folder, "sharded_1", one, sharded=True),
        made(folder, "sharded_1_on", one, *after(folder / "sharded_1"), sharded=True),
        made(folder, "cheap_1", one, *CHEAP, sharded=True),
        made(folder, "cheap_1_on", one, *CHEAP, *after(folder / "cheap_1"), sharded=True),
        made(folder, "tied_1", one, sharded=True, start="tied"),
        made(folder, "spoilt_1", one, spoilt=1),
        made(folder, "sharded_spoilt_1", one, sharded=True, spoilt=1),
        made(folder, "two_2", two),
        made(folder, "sharded_2", two, sharded=True),
        made(folder, "cheap_2", two, *CHEAP, sharded=True),
        made(folder, "two_then_sharded_2", two, *after(folder / "two_2"), sharded=True),
        made(folder, "cached_2", two, "vlm_cache_gb=1", sharded=True),
    ]
    write_jobs(folder / "jobs.json", jobs)
    launch(folder / "jobs.json")
    return folder


def share_embeddings(model: AlpamayoR1, folder: Path) -> None:
    """Save a model whose head is its embeddings."""
    vlm = model.vlm
    for config in (vlm.config, vlm.config.text_config):
        config.tie_word_embeddings = True
    model.config.vlm_config = vlm.config.to_dict()
    vlm.lm_head.weight = vlm.get_input_embeddings().weight
    model.save_pretrained(folder)


def made(folder: Path, name: str, stage: str, *overrides: str, start: str = "checkpoint", **how) -> Job:
    asked = ["train.batch_size=1", *COMMON, *overrides]
    return Job(stage, str(folder / start), str(folder / name), asked, **how)


def after(out: Path) -> tuple[str]:
    return (f"train.resume={out / 'checkpoints' / 'step_000002'}",)


def launch(jobs: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What accelerate launch runs for several GPUs; on CPUs alone it starts one process.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    own = {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    }
    done = subprocess.run(
        [*command, str(HERE / "training_rank.py"), str(jobs)],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def alone(trained: Path, stage: str, out: Path, *overrides: str, start: str = "checkpoint") -> Path:
    """Train in this process, with twice the batch."""
    run(settings_of(stage, trained / start, out, "train.batch_size=2", *COMMON, *overrides), told(6), told(2))
    return out


def last(out: Path) -> dict:
    return load_file(out / "checkpoints" / "step_000004" / "model" / "model.safetensors")


def assert_same_curves(out: Path, wanted: Path, rel: float) -> None:
    for curve in CURVES:
        assert losses(out, curve) == pytest.approx(losses(wanted, curve), rel=rel), curve


def farthest(out: Path, wanted: Path) -> tuple[float, float]:
    """Return how far the last weights of two trainings are apart, and the share of those that are by 1e-4 and more."""
    own, other = last(out), last(wanted)
    assert {name: (part.dtype, part.shape) for name, part in own.items()} == {
        name: (part.dtype, part.shape) for name, part in other.items()
    }
    apart = torch.cat([(own[name].double() - other[name].double()).abs().flatten() for name in other])
    return float(apart.max()), float((apart >= 1e-4).double().mean())


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("how", ["two", "sharded"])
def test_train_as_one_with_twice_the_batch(trained, tmp_path, stage, how):
    out = trained / f"{how}_{stage}"
    ranks = [load_file(out / f"rank_{rank}.safetensors") for rank in (0, 1)]
    assert all((ranks[0][name] == ranks[1][name]).all() for name in ranks[0])
    alone(trained, f"stage{stage}", tmp_path)
    assert_same_curves(out, tmp_path, rel=2e-3)
    assert losses(out)[1] == pytest.approx(losses(tmp_path)[1], rel=1e-5)
    assert losses(out, "grad_norm") == pytest.approx(losses(tmp_path, "grad_norm"), rel=1e-3)
    # AdamW moves a weight whose gradient is nothing but rounding as far as any other.
    assert farthest(out, tmp_path)[1] < 1e-4


@pytest.mark.parametrize("stage", [1, 2])
def test_sharded_they_learn_the_same(trained, stage):
    sharded, whole = trained / f"sharded_{stage}", trained / f"two_{stage}"
    assert_same_curves(sharded, whole, rel=1e-5)
    assert farthest(sharded, whole)[0] < 1e-5
    assert load_progress(sharded / "checkpoints" / "step_000004").step == 4
    for part in ("model", "checkpoints/step_000004/model", "checkpoints/step_000004/state"):
        assert {path.name for path in (sharded / part).iterdir()} == {path.name for path in (whole / part).iterdir()}
    assert AlpamayoR1.from_pretrained(sharded / "model").dtype == torch.float32


def held(out: Path, rank: int) -> int:
    with safe_open(out / f"rank_{rank}.safetensors", "pt") as content:
        return int(content.metadata()["held"])


@pytest.mark.parametrize("stage", [1, 2])
def test_each_holds_a_share(trained, stage):
    whole = held(trained / f"two_{stage}", 0)
    for rank in (0, 1):
        assert 0.45 * whole < held(trained / f"sharded_{stage}", rank) < 0.55 * whole


@pytest.mark.parametrize(
    ("out", "whole", "rel", "atol"),
    [
        ("two_1_on", "two_1", 0, 0),
        ("sharded_1_on", "sharded_1", 0, 0),
        ("cheap_1_on", "cheap_1", 0, 0),
        ("two_then_sharded_2", "two_2", 1e-5, 1e-5),
    ],
)
def test_go_on_where_they_were(trained, out, whole, rel, atol):
    wanted = losses(trained / whole)
    assert losses(trained / out) == pytest.approx({step: wanted[step] for step in (3, 4)}, rel=rel, abs=0)
    assert farthest(trained / out, trained / whole)[0] <= atol


def test_one_goes_on_from_what_was_sharded(trained, tmp_path):
    alone(trained, "stage1", tmp_path, *after(trained / "sharded_1"))
    wanted = losses(trained / "sharded_1")
    assert losses(tmp_path) == pytest.approx({step: wanted[step] for step in (3, 4)}, rel=1e-3)


def test_cheaper_ways_have_about_the_same_losses(trained):
    for stage in (1, 2):
        assert losses(trained / f"cheap_{stage}") == pytest.approx(losses(trained / f"sharded_{stage}"), rel=0.05)
    assert_same_curves(trained / "cached_2", trained / "sharded_2", rel=1e-4)


def test_shared_weights_stay_shared(trained, tmp_path):
    alone(trained, "stage1", tmp_path, start="tied")
    assert_same_curves(trained / "tied_1", tmp_path, rel=2e-3)
    assert farthest(trained / "tied_1", tmp_path)[1] < 1e-4
    vlm = AlpamayoR1.from_pretrained(trained / "tied_1" / "model").vlm
    assert vlm.lm_head.weight is vlm.get_input_embeddings().weight


@pytest.mark.parametrize("how", ["", "sharded_"])
def test_a_loss_that_is_no_number_in_one_ends_both(trained, how):
    out = trained / f"{how}spoilt_1"
    for rank in (0, 1):
        assert "NaN or infinite, in a batch of clip_" in (out / f"rank_{rank}.txt").read_text()
    assert not (out / "model").exists()


class TestConfiguration:
    def test_without(self, monkeypatch):
        monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
        assert sharding.asked_for() is None

    def test_each_process_loads_the_model(self, monkeypatch):
        """Else transformers leaves it empty in all processes but the first."""
        for name, value in {**SHARDED, "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}.items():
            monkeypatch.setenv(name, value)
        assert sharding.asked_for().fsdp_version == 2
        assert os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "False"

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("FSDP_VERSION", "1", "FSDP version 1: expected 2"),
            ("FSDP_OFFLOAD_PARAMS", "true", "weights in main memory"),
        ],
    )
    def test_other_kinds_are_refused(self, monkeypatch, name, value, said):
        for key, own in {**SHARDED, "FSDP_CPU_RAM_EFFICIENT_LOADING": "false", name: value}.items():
            monkeypatch.setenv(key, own)
        with pytest.raises(AlpamayoError, match=said):
            sharding.asked_for()
