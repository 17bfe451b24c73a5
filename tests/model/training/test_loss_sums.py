"""Mean losses, of all and of each answer."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.training_output import TrainingOutput
from alpamayo_r1.training.loss_sums import LossSums
from hand_made import batch_of, told
from tiny_model import BASE, tiny_model, write_base
from training_runs import losses, run, settings_of


def output(loss: float, counts: list[int], **answers: tuple[float, float]) -> TrainingOutput:
    return TrainingOutput(
        loss=torch.tensor(loss),
        counts=torch.tensor(counts),
        answers={name: torch.tensor(own, dtype=torch.float64) for name, own in answers.items()},
    )


class TestSums:
    def test_means_are_over_tokens(self):
        sums = LossSums()
        sums.add(output(2.0, [3, 1], cot=(6.0, 2.0), traj_future=(2.0, 1.0)))
        sums.add(output(5.0, [2, 0], cot=(0.0, 0.0), traj_future=(10.0, 2.0)))
        assert sums.count == 6
        assert sums.means("val_") == {"val_loss": 3.0, "val_loss_cot": 3.0, "val_loss_traj_future": 4.0}

    def test_nothing_is_no_mean(self):
        sums = LossSums()
        sums.add(output(0.0, [0], cot=(0.0, 0.0)))
        assert sums.means() == {"loss": 0.0}

    def test_scenes_have_no_answers(self):
        sums = LossSums()
        sums.add(TrainingOutput(loss=torch.tensor(2.0), counts=torch.tensor([1, 0, 1])))
        assert sums.means() == {"loss": 2.0}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    tiny_model(write_base(folder / BASE)).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


def by_hand(model: AlpamayoR1, scenes) -> tuple[list[float], list[float]]:
    """Return the losses of the reasonings' tokens and of the futures', each scene read alone."""
    vocabulary = model.tokenizer.get_vocab()
    spans = [[vocabulary[f"<|{name}_{side}|>"] for side in ("start", "end")] for name in ("cot", "traj_future")]
    found: tuple[list[float], list[float]] = ([], [])
    for scene in scenes:
        batch = batch_of(model, scene)
        poses = {name: own for name, own in batch.items() if name.startswith("ego_")}
        tokenized = batch["tokenized_data"]
        ids = model.fuse_traj_tokens(tokenized["input_ids"], poses)
        with torch.no_grad():
            logits = model.vlm(
                **{**tokenized, "input_ids": ids},
                mm_token_type_ids=(ids == model.vlm.config.image_token_id).int(),
            ).logits[0]
        row = ids[0].tolist()
        for kept, (first, last) in zip(found, spans, strict=True):
            places = range(row.index(first), row.index(last) + 1)
            kept += [float(cross_entropy(logits[place - 1], ids[0, place])) for place in places]
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_of_all_batches_of_a_step_and_of_validation(start, tmp_path):
    scenes = [replace(scene, cot="x" * (5 + 9 * place)) for place, scene in enumerate(told(4))]
    held = [replace(scene, cot="y" * (3 + 5 * place)) for place, scene in enumerate(told(3))]
    asked = ("train.steps=1", "train.batch_size=2", "train.accumulate=2")
    result = run(settings_of("stage1", start, tmp_path, *asked), scenes, held)
    for curve, model, own in (("loss", start, scenes), ("val_loss", result.model, held)):
        cot, future = by_hand(AlpamayoR1.from_pretrained(model), own)
        assert losses(tmp_path, f"{curve}_cot")[1] == pytest.approx(mean(cot), rel=1e-5)
        assert losses(tmp_path, f"{curve}_traj_future")[1] == pytest.approx(mean(future), rel=1e-5)
    assert losses(tmp_path, "loss_meta_action") == {}
    assert result.progress.best_loss == losses(tmp_path, "val_loss")[1]


def test_they_are_curves_of_tensorboard(start, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(settings_of("stage1", start, tmp_path, "train.steps=1", "train.batch_size=2"), told(2))
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Scalars("loss_cot")[0].value == pytest.approx(losses(tmp_path, "loss_cot")[1])


def test_stage_2_has_the_loss_alone(start, tmp_path):
    run(settings_of("stage2", start, tmp_path, "train.steps=1", "train.batch_size=2"), told(2), told(2))
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [sorted(line) for line in lines] == [
        ["epoch", "grad_norm", "loss", "lr", "seconds", "step"],
        ["epoch", "step", "val_loss"],
    ]
