"""Whole trainings: what they change, how they end, and how they go on."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.training import loop
from alpamayo_r1.training.losses import Trainee, noise_seeds
from alpamayo_r1.training.settings import Precision, Stage
from hand_made import Told, batch_of, told
from tiny_model import BASE, SceneSpec, data_of, tiny_model, write_base
from training_runs import losses, run, settings_of

STAGES = ("stage1", "stage2")
TRAINED = {"stage1": {"vlm"}, "stage2": {"expert", "action_in_proj", "action_out_proj"}}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    tiny_model(write_base(folder / BASE)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


def tensors(model) -> dict[str, torch.Tensor]:
    return {name: own.clone() for name, own in model.state_dict().items()}


class TestOneStep:
    @pytest.mark.parametrize("stage", STAGES)
    def test_changes_only_what_it_should(self, start, tmp_path, stage):
        result = run(settings_of(stage, start, tmp_path, "train.steps=1", "train.batch_size=4", "train.accumulate=1"))
        before = load_file(start / "model.safetensors")
        after = load_file(result.model / "model.safetensors")
        assert set(before) == set(after)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert {name.split(".")[0] for name in changed} == TRAINED[stage]
        still = {name for name in before if name.split(".")[0] in TRAINED[stage]} - changed
        # A key's bias moves all scores of a query alike, and the tokens of no batch have no gradient.
        assert all(".freqs" in name or ".bias" in name for name in still), still

    @pytest.mark.parametrize("stage", STAGES)
    @pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
    def test_is_loaded_as_it_was_trained(self, start, tmp_path, stage, precision, dtype):
        asked = ("train.steps=2", "train.batch_size=2", f"train.precision={precision}")
        result = run(settings_of(stage, start, tmp_path, *asked))
        model = AlpamayoR1.from_pretrained(result.model)
        assert {own.dtype for own in model.parameters()} == {dtype}
        assert model.action_space.accel_std.dtype == torch.float32
        assert model.config.attn_implementation == "sdpa"
        xyz, _ = model.sample_trajectories_from_data_with_vlm_rollout(
            data_of(model, SceneSpec()), num_traj_samples=2, max_generation_length=4
        )
        assert bool(xyz.isfinite().all())


class TestLearning:
    @pytest.mark.parametrize("stage", STAGES)
    def test_the_loss_falls(self, start, tmp_path, stage):
        run(settings_of(stage, start, tmp_path, "train.steps=25", "train.batch_size=6", "train.accumulate=1"))
        curve = losses(tmp_path)
        assert sorted(curve) == list(range(1, 26))
        assert sum(curve[step] for step in range(21, 26)) < 0.8 * sum(curve[step] for step in range(1, 6))

    @pytest.mark.parametrize("stage", STAGES)
    @pytest.mark.parametrize("option", ["train.gradient_checkpointing=true", "train.precision=bf16"])
    def test_cheaper_ways_have_about_the_same_losses(self, start, tmp_path, stage, option):
        common = ("train.steps=3", "train.batch_size=2", "train.accumulate=2")
        run(settings_of(stage, start, tmp_path / "a", *common))
        run(settings_of(stage, start, tmp_path / "b", *common, option))
        tolerance = 0.05 if "bf16" in option else 1e-4
        assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=tolerance)

    @pytest.mark.parametrize("stage", STAGES)
    def test_accumulation_is_a_larger_batch(self, start, tmp_path, stage):
        scenes = [replace(scene, cot="x" * (5 + 9 * place)) for place, scene in enumerate(told(6))]
        run(
            settings_of(stage, start, tmp_path / "a", "train.steps=2", "train.batch_size=6", "train.accumulate=1"),
            scenes,
        )
        run(
            settings_of(stage, start, tmp_path / "b", "train.steps=2", "train.batch_size=2", "train.accumulate=3"),
            scenes,
        )
        assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=1e-4)
        assert losses(tmp_path / "b", "grad_norm") == pytest.approx(losses(tmp_path / "a", "grad_norm"), rel=1e-3)

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_gradient_is_that_of_the_mean(self, start, tmp_path, stage):
        """Over tokens in stage 1, over scenes in stage 2, of all batches of a step together."""
        scenes = [replace(scene, cot="x" * (5 + 9 * place)) for place, scene in enumerate(told(4))]
        asked = ("train.steps=1", "train.batch_size=2", "train.accumulate=2")
        run(settings_of(stage, start, tmp_path, *asked), scenes)
        trainee = Trainee(AlpamayoR1.from_pretrained(start), Stage(stage))
        batch = batch_of(trainee.model, *scenes, for_expert=stage == "stage2")
        output = trainee(**batch, seeds=noise_seeds(batch["names"], 0, 0))
        output.loss.backward()
        norm = torch.stack([own.grad.norm() for _, own in trainee.trained() if own.grad is not None]).norm()
        assert losses(tmp_path)[1] == pytest.approx(output.loss.item(), rel=1e-5)
        assert losses(tmp_path, "grad_norm")[1] == pytest.approx(norm.item(), rel=1e-4)

    def test_each_step_and_scene_has_noise_of_its_own(self):
        names = [("a", 0), ("a", 1), ("b", 0)]
        seeds = [seed for step in range(3) for seed in noise_seeds(names, 0, step)] + noise_seeds(names, 1, 0)
        assert len(set(seeds)) == 12
        assert noise_seeds(names[1:], 0, 2) == noise_seeds(names, 0, 2)[1:]


class TestGoingOn:
    @pytest.mark.parametrize("stage", STAGES)
    @pytest.mark.parametrize("precision", list(Precision))
    def test_every_checkpoint_leads_to_the_same_losses(self, start, tmp_path, stage, precision):
        """Five scenes, two at once, two batches a step: epochs end within steps."""
        asked = ("train.steps=6", "train.batch_size=2", "train.accumulate=2", "train.save_every=1", "train.keep=9")
        asked += (f"train.precision={precision}", "train.eval_every=2")
        whole, scenes = tmp_path / "whole", told(5)
        run(settings_of(stage, start, whole, *asked), scenes, told(2))
        wanted, held = losses(whole), losses(whole, "val_loss")
        assert len(wanted) == 6
        assert sorted(held) == [2, 4, 6]
        for step in (1, 2, 3, 5):
            out = tmp_path / f"from_{step}"
            shutil.copytree(whole, out)
            for later in range(step + 1, 7):
                shutil.rmtree(out / "checkpoints" / f"step_{later:06d}")
            result = run(settings_of(stage, start, out, *asked), scenes, told(2))
            assert losses(out) == wanted
            assert losses(out, "val_loss") == held
            assert result.progress.step == 6
            for part in ("model/model.safetensors", "checkpoints/step_000006/model/model.safetensors"):
                assert (out / part).read_bytes() == (whole / part).read_bytes()

    def test_from_a_named_checkpoint_into_another_folder(self, start, tmp_path):
        asked = ("train.steps=4", "train.batch_size=2", "train.accumulate=1", "train.save_every=2")
        run(settings_of("stage2", start, tmp_path / "a", *asked))
        named = f"train.resume={tmp_path / 'a' / 'checkpoints' / 'step_000002'}"
        run(settings_of("stage2", start, tmp_path / "b", *asked, named))
        both = losses(tmp_path / "a")
        assert losses(tmp_path / "b") == {step: both[step] for step in (3, 4)}

    def test_a_finished_training_stays_as_it_is(self, start, tmp_path):
        asked = ("train.steps=2", "train.batch_size=2")
        run(settings_of("stage2", start, tmp_path, *asked))
        before = losses(tmp_path)
        result = run(settings_of("stage2", start, tmp_path, *asked))
        assert losses(tmp_path) == before
        assert result.progress.step == 2

    def test_other_settings_are_refused(self, start, tmp_path):
        run(settings_of("stage2", start, tmp_path, "train.steps=1", "train.batch_size=2"))
        with pytest.raises(AlpamayoError, match=r"train\.batch_size=3 \(was 2\).*Choose another out"):
            run(settings_of("stage2", start, tmp_path, "train.steps=1", "train.batch_size=3"))
        with pytest.raises(AlpamayoError, match=r"train.resume=null starts anew, but there is a training up to step 1"):
            run(settings_of("stage2", start, tmp_path, "train.steps=1", "train.resume=null"))

    def test_a_checkpoint_that_is_none(self, start, tmp_path):
        with pytest.raises(AlpamayoError, match=r"expected the folder of a checkpoint with model/ and state/"):
            run(settings_of("stage2", start, tmp_path, f"train.resume={start}"))

    def test_a_pickle_in_place_of_the_optimizer_is_not_run(self, start, tmp_path):
        asked = ("train.steps=2", "train.batch_size=2", "train.save_every=1")
        run(settings_of("stage2", start, tmp_path, *asked))
        shutil.rmtree(tmp_path / "checkpoints" / "step_000002")

        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        torch.save(Evil(), tmp_path / "checkpoints" / "step_000001" / "state" / "optimizer.pt")
        with pytest.raises(AlpamayoError, match=r"optimizer\.pt: expected the optimizer's state"):
            run(settings_of("stage2", start, tmp_path, *asked))
        assert not (tmp_path / "ran").exists()

    def test_an_unfinished_checkpoint_is_none(self, start, tmp_path):
        asked = ("train.steps=2", "train.batch_size=2", "train.save_every=1")
        run(settings_of("stage2", start, tmp_path, *asked))
        wanted = losses(tmp_path)
        last = tmp_path / "checkpoints" / "step_000002"
        last.rename(last.with_name("step_000002.unfinished"))
        run(settings_of("stage2", start, tmp_path, *asked))
        assert losses(tmp_path) == wanted


class TestCheckpoints:
    def test_the_last_and_the_best_are_kept(self, start, tmp_path):
        asked = ("train.steps=8", "train.batch_size=2", "train.save_every=1", "train.keep=2", "train.eval_every=1")
        result = run(settings_of("stage2", start, tmp_path, *asked, "train.lr=0.03"), told(4), told(2))
        best = result.progress.best_step
        kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
        assert kept == sorted({"step_000007", "step_000008", f"step_{best:06d}"})
        held = losses(tmp_path, "val_loss")
        assert held[best] == min(held.values()) == result.progress.best_loss
        chosen = tmp_path / "checkpoints" / f"step_{best:06d}" / "model" / "model.safetensors"
        assert (result.model / "model.safetensors").read_bytes() == chosen.read_bytes()

    def test_what_is_left_on_disk(self, start, tmp_path):
        result = run(settings_of("stage2", start, tmp_path, "train.steps=2", "train.batch_size=2"), told(4), told(2))
        assert {path.name for path in tmp_path.iterdir()} == {
            "checkpoints", "losses.jsonl", "model", "run_summary.json", "tensorboard", "train.json"
        }  # fmt: skip
        summary = json.loads((tmp_path / "run_summary.json").read_text())
        assert summary["ending"] == "finished"
        assert summary["steps"] == 2
        assert summary["scenes"] == {"train": 4, "validation": 2}
        assert json.loads((tmp_path / "train.json").read_text())["train"]["batch_size"] == 2
        assert list((tmp_path / "tensorboard").iterdir())
        assert str(result.model) in "\n".join(result.lines())


class TestEndings:
    def test_early_stop(self, start, tmp_path):
        asked = ("train.steps=50", "train.batch_size=2", "train.eval_every=1", "train.early_stop_patience=2")
        # A rate that spoils the model: the first evaluation is the best one, or nearly so.
        settings = settings_of("stage1", start, tmp_path, *asked, "train.lr=0.5")
        result = run(settings, told(4), told(2))
        assert result.ending is loop.Ending.EARLY
        assert result.progress.step == result.progress.best_step + 2
        again = run(settings, told(4), told(2))
        assert again.ending is loop.Ending.EARLY
        assert again.progress == result.progress
        assert json.loads((tmp_path / "run_summary.json").read_text())["ending"].startswith("early stop")

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_loss_that_is_no_number_names_the_scene(self, start, tmp_path, stage, monkeypatch):
        forward = Trainee.forward

        def spoiled(self, **batch):
            output = forward(self, **batch)
            bad = torch.tensor([name == "clip_3" for name, _ in batch["names"]])
            output.loss = output.loss * (float("nan") if bad.any() else 1.0)
            output.row_losses = output.row_losses.masked_fill(bad, float("nan"))
            return output

        monkeypatch.setattr(Trainee, "forward", spoiled)
        with pytest.raises(loop.DivergedError, match=r"found the loss NaN or infinite, in a batch of clip_3/1600000\."):
            run(settings_of(stage, start, tmp_path, "train.epochs=2", "train.batch_size=2", "train.accumulate=1"))
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_saves_and_the_same_command_goes_on(self, start, tmp_path, monkeypatch, number):
        asked = ("train.steps=6", "train.batch_size=2", "train.accumulate=1", "train.eval_every=3")
        scenes = (told(6), told(2))
        run(settings_of("stage2", start, tmp_path / "whole", *asked), *scenes)
        learn = loop.Loop._learn

        def interrupted(self, batches):
            if self.progress.step == 2:
                os.kill(os.getpid(), number)
                time.sleep(0.01)
            return learn(self, batches)

        monkeypatch.setattr(loop.Loop, "_learn", interrupted)
        before = signal.getsignal(number)
        result = run(settings_of("stage2", start, tmp_path / "a", *asked), *scenes)
        assert result.interrupted
        assert result.progress.step == 3
        assert result.model is None
        assert signal.getsignal(number) is before
        assert [path.name for path in (tmp_path / "a" / "checkpoints").iterdir()] == ["step_000003"]
        monkeypatch.undo()
        assert not run(settings_of("stage2", start, tmp_path / "a", *asked), *scenes).interrupted
        for curve in ("loss", "val_loss"):
            assert losses(tmp_path / "a", curve) == losses(tmp_path / "whole", curve), curve
        assert set(losses(tmp_path / "a", "val_loss")) == {3, 6}

    def test_a_row_without_its_end_is_named(self, start, tmp_path):
        scenes = [*told(3), Told("broken", "no end", has_future_start=False)]
        result = run(settings_of("stage2", start, tmp_path, "train.steps=2", "train.batch_size=4"), scenes)
        assert all(value > 0 for value in losses(tmp_path).values())
        assert any("broken/1600000" in problem for problem in result.problems)


class TestFrozen:
    def test_mixed_precision_has_the_same_tokens_and_actions(self, start):
        model = AlpamayoR1.from_pretrained(start)
        batch = batch_of(model, *told(4))
        poses = {name: own for name, own in batch.items() if name.startswith("ego_")}
        names = ("history_xyz", "history_rot", "future_xyz", "future_rot")

        def made():
            ids = model.fuse_traj_tokens(batch["tokenized_data"]["input_ids"], poses)
            return ids, model.action_space.traj_to_action(*(poses[f"ego_{name}"][:, 0] for name in names))

        plain = made()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = made()
        assert all(torch.equal(own, other) for own, other in zip(plain, mixed, strict=True))

    @pytest.mark.parametrize("stage", list(Stage))
    def test_what_is_frozen_computes_as_in_inference(self, start, stage):
        model = AlpamayoR1.from_pretrained(start)
        trainee = Trainee(model, stage, gradient_checkpointing=True)
        trainee.train()
        assert model.vlm.training == (stage is Stage.LANGUAGE)
        assert model.expert.training == (stage is Stage.EXPERT)
        assert {name.split(".")[0] for name, _ in trainee.trained()} == TRAINED[stage]

    def test_frozen_weights_may_be_bfloat16_and_statistics_never(self, start):
        model = AlpamayoR1.from_pretrained(start)
        Trainee(model, Stage.EXPERT, Precision.BF16)
        assert model.vlm.dtype == torch.bfloat16
        assert {own.dtype for own in model.expert.parameters()} == {torch.float32}
        assert model.action_space.accel_std.dtype == torch.float32

    def test_checkpointing_keeps_what_the_expert_reads(self, start):
        model = AlpamayoR1.from_pretrained(start)
        batch = batch_of(model, *told(2), for_expert=True)
        plain = Trainee(model, Stage.EXPERT)
        plain(**batch, seeds=[1, 2]).loss.backward()
        wanted = {name: own.grad.clone() for name, own in plain.trained()}
        model.zero_grad()
        saving = Trainee(model, Stage.EXPERT, gradient_checkpointing=True)
        saving(**batch, seeds=[1, 2]).loss.backward()
        for name, own in saving.trained():
            torch.testing.assert_close(own.grad, wanted[name], rtol=1e-4, atol=1e-6)
