"""What the frozen model has read is kept, and changes no loss."""

import shutil

import pytest
import torch

from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.training.losses import Trainee
from alpamayo_r1.training.settings import Stage
from alpamayo_r1.training.vlm_caches import VlmCaches, rows_of
from hand_made import Told, batch_of, told
from tiny_model import BASE, SceneSpec, counted, tiny_model, write_base
from training_runs import losses, run, settings_of

MIXED = [*told(2), Told("other", "Longer than the others, and with another picture.", SceneSpec(seed=7, frames=3))]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    tiny_model(write_base(folder / BASE)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def model(start):
    return AlpamayoR1.from_pretrained(start)


def test_losses_are_those_without(model):
    batch = batch_of(model, *MIXED, for_expert=True)
    plain = Trainee(model, Stage.EXPERT)(**batch, seeds=[1, 2, 3])
    caches = VlmCaches(10**9)
    trainee = Trainee(model, Stage.EXPERT, caches=caches)
    fresh = trainee(**batch, seeds=[1, 2, 3])
    torch.testing.assert_close(fresh.row_losses, plain.row_losses)
    assert (caches.read, caches.found, len(caches)) == (3, 0, 3)
    again = batch_of(model, *reversed(MIXED), for_expert=True)
    kept = trainee(**again, seeds=[3, 2, 1])
    assert torch.equal(kept.row_losses, fresh.row_losses.flip(0))
    assert (caches.read, caches.found) == (3, 3)


def test_the_model_reads_nothing_that_is_kept(model):
    trainee = Trainee(model, Stage.EXPERT, caches=VlmCaches(10**9))
    batch = batch_of(model, *MIXED, for_expert=True)
    with counted(model.vlm.model) as calls:
        trainee(**batch, seeds=[1, 2, 3])
        assert len(calls) == 3
        trainee(**batch, seeds=[1, 2, 3])
        assert len(calls) == 3


def test_the_limit_of_memory(model):
    batch = batch_of(model, *told(3), for_expert=True)
    one = model.read_context(batch_of(model, told(1)[0], for_expert=True)).bytes
    caches = VlmCaches(int(one * 2.5))
    trainee = Trainee(model, Stage.EXPERT, caches=caches)
    unlimited = Trainee(model, Stage.EXPERT, caches=VlmCaches(10**9))(**batch, seeds=[1, 2, 3])
    for _ in range(2):
        assert torch.equal(trainee(**batch, seeds=[1, 2, 3]).row_losses, unlimited.row_losses)
    assert len(caches) == 2
    assert caches.used <= caches.limit
    assert (caches.read, caches.found) == (4, 2)


def test_another_text_of_a_scene_is_read_anew(model):
    caches = VlmCaches(10**9)
    trainee = Trainee(model, Stage.EXPERT, caches=caches)
    one, other = Told("clip", "Stop."), Told("clip", "Go on.")
    first = trainee(**batch_of(model, one, for_expert=True), seeds=[1])
    second = trainee(**batch_of(model, other, for_expert=True), seeds=[1])
    assert caches.read == 2
    assert float(first.loss) != float(second.loss)


def test_a_row_without_its_end_and_one_without_pictures(model):
    caches = VlmCaches(10**9)
    batch = batch_of(model, MIXED[0], Told("broken", "no end", has_future_start=False), for_expert=True)
    output = Trainee(model, Stage.EXPERT, caches=caches)(**batch, seeds=[1, 2])
    assert output.counts.tolist() == [1, 0]
    alone = Trainee(model, Stage.EXPERT)(**batch_of(model, MIXED[0], for_expert=True), seeds=[1])
    torch.testing.assert_close(output.row_losses[0], alone.row_losses[0])


def test_rows_are_torn_apart_as_they_were_put_together(model):
    batch = batch_of(model, *MIXED, for_expert=True)["tokenized_data"]
    for row, scene in zip(rows_of(batch, model), MIXED, strict=True):
        alone = batch_of(model, scene, for_expert=True)["tokenized_data"]
        assert set(row) == set(alone)
        assert all(torch.equal(row[name], alone[name]) for name in alone)


def test_a_training_with_caches_goes_on_exactly(start, tmp_path):
    asked = ("train.steps=6", "train.batch_size=2", "train.accumulate=1", "train.save_every=1", "train.keep=9")
    run(settings_of("stage2", start, tmp_path / "plain", *asked), MIXED, told(2))
    asked += ("vlm_cache_gb=0.1",)
    whole = run(settings_of("stage2", start, tmp_path / "whole", *asked), MIXED, told(2))
    assert losses(tmp_path / "whole") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)
    assert whole.measured["vlm_cache_found"] > 0
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    for later in (4, 5, 6):
        shutil.rmtree(tmp_path / "part" / "checkpoints" / f"step_{later:06d}")
    run(settings_of("stage2", start, tmp_path / "part", *asked), MIXED, told(2))
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    assert (tmp_path / "part/model/model.safetensors").read_bytes() == (whole.model / "model.safetensors").read_bytes()
