"""The loss of stage 1."""

import math

import pytest
import torch

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.base_model import ReasoningVLA
from hand_made import batch_of, told
from tiny_model import BASE, tiny_model, write_base


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(write_base(tmp_path_factory.mktemp("base") / BASE))


def by_hand(model, batch, row: int) -> list[float]:
    """Return the losses of a row's tokens: the row alone, all of its logits, one softmax after the other."""
    names = [name for name in batch if name.startswith("ego_")]
    tokenized = batch["tokenized_data"]
    own = tokenized["attention_mask"][row].bool()
    ids = model.fuse_traj_tokens(tokenized["input_ids"][row][own][None], {n: batch[n][row : row + 1] for n in names})
    images = len(tokenized["image_grid_thw"]) // len(tokenized["input_ids"])
    patches = len(tokenized["pixel_values"]) // len(tokenized["input_ids"])
    with torch.no_grad():
        logits = model.vlm(
            input_ids=ids,
            mm_token_type_ids=(ids == model.vlm.config.image_token_id).int(),
            pixel_values=tokenized["pixel_values"][row * patches : (row + 1) * patches],
            image_grid_thw=tokenized["image_grid_thw"][row * images : (row + 1) * images],
        ).logits[0]
    wanted = batch["loss_mask"][row][own]
    return [
        -math.log(float(logits[column - 1].double().softmax(-1)[ids[0, column]]))
        for column in range(1, len(wanted))
        if wanted[column]
    ]


def test_is_the_mean_over_masked_tokens(model):
    batch = batch_of(model, *told(3))
    output = ReasoningVLA.forward(model, **batch)
    rows = [by_hand(model, batch, row) for row in range(3)]
    flat = [loss for row in rows for loss in row]
    assert float(output.loss) == pytest.approx(sum(flat) / len(flat), rel=1e-5)
    assert output.counts.tolist() == [len(row) for row in rows]
    torch.testing.assert_close(output.row_losses, torch.tensor([sum(row) / len(row) for row in rows]))


def test_a_row_has_the_loss_it_has_alone(model):
    rows = told(3)
    together = model.language_loss(**batch_of(model, *rows))
    for place, row in enumerate(rows):
        alone = model.language_loss(**batch_of(model, row))
        torch.testing.assert_close(together.row_losses[place], alone.row_losses[0])


def test_labels_are_the_fused_tokens(model):
    rows = told(1)
    straight = model.language_loss(**batch_of(model, *rows))
    other = batch_of(model, *rows)
    other["ego_future_xyz"] = other["ego_future_xyz"] * 1.3
    assert float(model.language_loss(**other).loss) != float(straight.loss)


def test_unmasked_tokens_count_only_as_context(model):
    batch = batch_of(model, *told(2))
    batch["loss_mask"][0] = False
    output = model.language_loss(**batch)
    assert output.counts[0] == 0
    assert output.row_losses[0] == 0
    assert float(output.loss) == pytest.approx(float(output.row_losses[1]))


def test_nothing_masked_is_no_loss_with_gradients(model):
    batch = batch_of(model, *told(2))
    batch["loss_mask"][:] = False
    output = model.language_loss(**batch)
    assert float(output.loss) == 0.0
    output.loss.backward()
    assert not any(p.grad.any() for p in model.vlm.parameters() if p.grad is not None)
    model.zero_grad()


def test_mask_of_another_shape(model):
    batch = batch_of(model, *told(2))
    batch["loss_mask"] = batch["loss_mask"][:, 1:]
    with pytest.raises(AlpamayoError, match="loss_mask: expected bool"):
        model.language_loss(**batch)
