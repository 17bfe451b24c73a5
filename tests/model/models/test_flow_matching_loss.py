"""The loss of stage 2."""

from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache

from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1, VectorField
from hand_made import WAYPOINTS, Told, batch_of, told
from tiny_model import BASE, SceneSpec, scripted, tiny_model, write_base

SEEDS = [11, 22, 33]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / BASE)


@pytest.fixture(scope="module")
def model(base):
    return tiny_model(base)


def draws(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise (8, 2) and time of a row, drawn as the specification says: t = 0.999 - 0.999 Beta(1.5, 1)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        noise = torch.randn(1, WAYPOINTS, 2)[0]
        t = 0.999 - 0.999 * torch.distributions.Beta(1.5, 1.0).sample((1,))[0]
    return noise, t


def by_hand(model: AlpamayoR1, row: Told, seed: int, *, causal: bool = False) -> float:
    """Return ||v - (action - noise)||^2 of a row: alone, unpadded, with transformers' own cache and positions."""
    batch = batch_of(model, row, for_expert=True)
    tokenized = batch["tokenized_data"]
    ids = model.fuse_traj_tokens(tokenized["input_ids"], {n: batch[n] for n in batch if n.startswith("ego_history")})
    noise, t = draws(seed)
    action = model.action_space.traj_to_action(
        *(batch[f"ego_{n}"][:, 0] for n in ("history_xyz", "history_rot", "future_xyz", "future_rot"))
    )
    mask = torch.zeros(1, 1, WAYPOINTS, ids.shape[1] + WAYPOINTS)
    if causal:
        mask[..., ids.shape[1] :] = torch.full((WAYPOINTS, WAYPOINTS), -1e30).triu(1)
    with torch.no_grad():
        cache = DynamicCache()
        model.vlm(
            input_ids=ids,
            mm_token_type_ids=(ids == model.vlm.config.image_token_id).int(),
            pixel_values=tokenized["pixel_values"],
            image_grid_thw=tokenized["image_grid_thw"],
            past_key_values=cache,
            use_cache=True,
        )
        first = ids.shape[1] + int(model.vlm.model.rope_deltas[0])
        hidden = model.expert(
            inputs_embeds=model.action_in_proj(t * action + (1 - t) * noise, t.reshape(1)),
            position_ids=(first + torch.arange(WAYPOINTS)).expand(3, 1, -1),
            past_key_values=cache,
            attention_mask=mask,
            use_cache=True,
        ).last_hidden_state
        v = model.action_out_proj(hidden)
    return float((v - (action - noise)).square().mean())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("non_causal", [True, False])
def test_is_the_formula(base, attention, non_causal):
    model = tiny_model(base, attn_implementation=attention, expert_non_causal_attention=non_causal)
    rows = told(3)
    output = model(**batch_of(model, *rows, for_expert=True), seeds=SEEDS)
    wanted = [by_hand(model, row, seed, causal=not non_causal) for row, seed in zip(rows, SEEDS, strict=True)]
    torch.testing.assert_close(output.row_losses, torch.tensor(wanted), rtol=1e-4, atol=1e-5)
    assert float(output.loss) == pytest.approx(sum(wanted) / 3, rel=1e-4)
    assert output.counts.tolist() == [1, 1, 1]


def test_causality_matters(base):
    causal = tiny_model(base, expert_non_causal_attention=False)
    free = tiny_model(base)
    batch = batch_of(free, *told(1), for_expert=True)
    assert abs(float(causal(**batch, seeds=[1]).loss) - float(free(**batch, seeds=[1]).loss)) > 1e-3


def test_later_actions_reach_earlier_ones(model):
    """The first waypoint's field depends on the last noisy action."""
    batch = batch_of(model, *told(1), for_expert=True)
    context = model.read_context(batch)
    from alpamayo_r1.models.expert import action_mask, action_positions

    x = torch.randn(1, WAYPOINTS, 2, requires_grad=True)
    mask = action_mask(context.open_columns, WAYPOINTS, torch.float32)
    field = model.vector_field(
        x, torch.full((1, 1, 1), 0.5), context.cache, mask, action_positions(context.next_position, WAYPOINTS)
    )
    (gradient,) = torch.autograd.grad(field[0, 0].sum(), x)
    assert bool((gradient[0, -1] != 0).all())


def test_what_follows_the_end_changes_nothing(model):
    """A row with its discrete future and the turn's end has the loss of one that ends at its stop token."""
    rows = told(3)
    short = model(**batch_of(model, *rows, for_expert=True), seeds=SEEDS)
    long = model(**batch_of(model, *rows), seeds=SEEDS)
    torch.testing.assert_close(short.row_losses, long.row_losses)
    garbled = batch_of(model, *rows)
    after = garbled["tokenized_data"]["input_ids"][:, -4:]
    after.copy_(torch.randint(0, 200, after.shape))
    ids = garbled["tokenized_data"]["input_ids"]
    ids[ids == model.config.traj_token_ids["future"]] = 7
    torch.testing.assert_close(short.row_losses, model(**garbled, seeds=SEEDS).row_losses)


def test_each_row_ends_at_its_own_stop_token(model):
    """One row ends where another still has tokens after its stop token, and padding where a third has pictures."""
    rows = told(3)
    wanted = model(**batch_of(model, *rows, for_expert=True), seeds=SEEDS)
    talking = [rows[0], replace(rows[1], after=" and so on and on<|im_end|>"), replace(rows[2], after="<i3>")]
    found = model(**batch_of(model, *talking, for_expert=True), seeds=SEEDS)
    torch.testing.assert_close(found.row_losses, wanted.row_losses)
    context = model.read_context(batch_of(model, *talking, for_expert=True))
    alone = [model.read_context(batch_of(model, row, for_expert=True)) for row in rows]
    assert context.open_columns.sum(dim=1).tolist() == [int(own.open_columns.sum()) for own in alone]
    assert context.next_position.tolist() == [int(own.next_position) for own in alone]


def test_a_row_has_the_loss_it_has_alone(model):
    rows = [*told(2), Told("long", "A much longer text than that of all the others. " * 3, SceneSpec(seed=9, frames=3))]
    together = model(**batch_of(model, *rows, for_expert=True), seeds=SEEDS)
    for place, row in enumerate(rows):
        alone = model(**batch_of(model, row, for_expert=True), seeds=SEEDS[place : place + 1])
        torch.testing.assert_close(together.row_losses[place], alone.row_losses[0])


def test_a_row_without_its_end_harms_only_itself(model):
    rows = told(3)
    whole = model(**batch_of(model, *rows, for_expert=True), seeds=SEEDS)
    broken = [rows[0], Told("broken", "no end", has_future_start=False), rows[2]]
    output = model(**batch_of(model, *broken, for_expert=True), seeds=SEEDS)
    assert output.counts.tolist() == [1, 0, 1]
    torch.testing.assert_close(output.row_losses[[0, 2]], whole.row_losses[[0, 2]])
    assert float(output.loss) == pytest.approx(float(whole.row_losses[[0, 2]].mean()), rel=1e-5)
    nothing = model(**batch_of(model, broken[1], for_expert=True), seeds=[1])
    assert float(nothing.loss) == 0.0
    nothing.loss.backward()
    model.zero_grad()


def test_an_end_token_in_the_question_is_none(model):
    batch = batch_of(model, *told(1), for_expert=True)
    ids = batch["tokenized_data"]["input_ids"]
    ids[0, 3] = model.config.traj_token_ids["future_start"]  # in the system's turn
    context = model.read_context(batch)
    assert context.open_columns.sum() == ids.shape[1]


def test_field_is_that_of_inference(model):
    """At inference, with the same text written, the expert sees what it saw in training."""
    row = told(1)[0]
    batch = batch_of(model, row, for_expert=True)
    text = model.tokenizer.tokenize(row.answer(for_expert=True))
    data = {
        "tokenized_data": prompt_only(model, row),
        "ego_history_xyz": batch["ego_history_xyz"],
        "ego_history_rot": batch["ego_history_rot"],
    }
    fields = []
    original = VectorField.__call__

    def note(self, *, x, t):
        found = original(self, x=x, t=t)
        fields.append((x, t, found))
        return found

    with pytest.MonkeyPatch.context() as patch, scripted(model, [text]):
        patch.setattr(VectorField, "__call__", note)
        model.sample_trajectories_from_data_with_vlm_rollout(data, num_traj_samples=1, max_generation_length=200)
    context = model.read_context(batch)
    from alpamayo_r1.models.expert import action_mask, action_positions

    mask = action_mask(context.open_columns, WAYPOINTS, torch.float32)
    for x, t, wanted in fields:
        found = model.vector_field(x, t, context.cache, mask, action_positions(context.next_position, WAYPOINTS))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert len(fields) == 4


def prompt_only(model, row):
    from tiny_model import data_of

    return data_of(model, row.scene)["tokenized_data"]


def test_no_gradient_reaches_the_language_model(model):
    output = model(**batch_of(model, *told(2), for_expert=True), seeds=[1, 2])
    output.loss.backward()
    with_gradient = {name.split(".")[0] for name, own in model.named_parameters() if own.grad is not None}
    assert with_gradient == {"expert", "action_in_proj", "action_out_proj"}
    assert all(bool(own.grad.any()) for own in model.action_out_proj.parameters())
    model.zero_grad()


def test_unseeded_draws_come_from_torch(model):
    batch = batch_of(model, *told(2), for_expert=True)
    torch.manual_seed(5)
    first = float(model(**batch).loss)
    torch.manual_seed(5)
    assert float(model(**batch).loss) == first
    assert float(model(**batch).loss) != first


def test_seeds_leave_torchs_generator_alone(model):
    batch = batch_of(model, *told(2), for_expert=True)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    model(**batch, seeds=[1, 2])
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_stays_in_its_mode(model, training):
    model.train(training)
    model(**batch_of(model, *told(2), for_expert=True), seeds=[1, 2])
    assert {part.training for part in model.vlm.modules()} == {training}
    model.eval()
