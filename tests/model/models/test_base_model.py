"""Trajectories in prompts."""

import pytest
import torch

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.base_model import replace_pad_token, tokenize_history_trajectory
from golden_model import GOLDEN, case, differ, needs_golden
from tiny_model import BASE, HISTORY, SceneSpec, data_of, tiny_model, write_base


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(write_base(tmp_path_factory.mktemp("base") / BASE))


@pytest.fixture(scope="module")
def released():
    return AlpamayoR1.from_pretrained(GOLDEN / "checkpoint")


@needs_golden
class TestReference:
    def test_fused_ids(self, released):
        tokens = case("1_tokens")
        before = tokens["input_ids"].clone()
        history = {"ego_history_xyz": tokens["hist_xyz"], "ego_history_rot": tokens["hist_rot"]}
        assert torch.equal(released.fuse_traj_tokens(tokens["input_ids"], history), tokens["fused_input_ids"])
        assert torch.equal(tokens["input_ids"], before)

    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_logits(self, released, attention):
        if attention == "sdpa":
            released = AlpamayoR1.from_pretrained(GOLDEN / "checkpoint", attn_implementation="sdpa")
        tokens, wanted = case("1_tokens"), case("5_vlm_logits")
        with torch.no_grad():
            logits = released.vlm(
                input_ids=wanted["input_ids"],
                attention_mask=tokens["attention_mask"],
                pixel_values=tokens["pixel_values"],
                image_grid_thw=tokens["image_grid_thw"],
                mm_token_type_ids=(wanted["input_ids"] == released.vlm.config.image_token_id).int(),
            ).logits[0]
        assert differ(logits[-8:], wanted["logits_last8"]) <= 1e-5
        assert torch.equal(logits.argmax(dim=-1), wanted["argmax_all"])
        assert differ(logits.double().square().sum(dim=-1), wanted["sumsq_per_position"]) <= 1e-2

    def test_ids_of_the_configuration(self, released):
        assert released.config.traj_token_start_idx == 413
        assert released.hist_token_start_idx == 925
        assert released.config.traj_token_ids["future_start"] == 1193


class TestFusing:
    def test_history_and_future(self, model):
        scene = SceneSpec()
        data = data_of(model, scene)
        waypoints = model.action_space.get_action_space_dims()[0]
        history = {key: data[key] for key in ("ego_history_xyz", "ego_history_rot")}
        steps = torch.arange(1, waypoints + 1) * 0.8
        future = torch.stack([steps, torch.zeros_like(steps), torch.zeros_like(steps)], dim=-1)[None, None]
        poses = {"ego_future_xyz": future, "ego_future_rot": torch.eye(3).expand(1, 1, waypoints, 3, 3)}
        holder = torch.full((1, 2 * waypoints), model.config.traj_token_ids["future"])
        ids = torch.cat([data["tokenized_data"]["input_ids"], holder], dim=1)
        fused = model.fuse_traj_tokens(ids, history | poses)
        written = fused[0, -2 * waypoints :] - model.future_token_start_idx
        assert ((written >= 0) & (written < 32)).all()
        placeholder = model.config.traj_token_ids["history"]
        told = fused[0, : -2 * waypoints][ids[0, : -2 * waypoints] == placeholder] - model.hist_token_start_idx
        assert len(told) == 3 * HISTORY
        assert ((told >= 0) & (told < 64)).all()
        assert torch.equal(model.fuse_traj_tokens(ids, history)[0, -2 * waypoints :], holder[0])

    def test_history_is_encoded_after_its_first_pose(self, model):
        data = data_of(model, SceneSpec())
        own = tokenize_history_trajectory(model.hist_traj_tokenizer, data, start_idx=7)
        xyz, rot = data["ego_history_xyz"][:, 0], data["ego_history_rot"][:, 0]
        assert torch.equal(own, model.hist_traj_tokenizer.encode(xyz[:, :1], rot[:, :1], xyz, rot) + 7)

    def test_without_a_tokenizer_of_histories(self, tmp_path):
        shared = tiny_model(write_base(tmp_path / BASE), hist_traj_tokenizer_cfg=None)
        assert shared.hist_token_start_idx == shared.future_token_start_idx

    def test_number_of_placeholders(self, model):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1))
        ids = data["tokenized_data"]["input_ids"]
        row = ids[1]
        row[(row == model.config.traj_token_ids["history"]).nonzero()[0]] = 1
        with pytest.raises(AlpamayoError, match=r"expected 48 placeholders .*found \[48, 47\]"):
            model.fuse_traj_tokens(ids, data)

    def test_replacing_by_rows(self):
        ids = torch.tensor([[1, 0, 2, 0], [0, 0, 3, 4]])
        assert replace_pad_token(ids, torch.tensor([[5, 6], [7, 8]]), 0).tolist() == [[1, 5, 2, 6], [7, 8, 3, 4]]

    def test_vocabularies_that_overlap(self, tmp_path):
        with pytest.raises(AlpamayoError, match="traj_vocab_size 90: expected at least 96"):
            tiny_model(write_base(tmp_path / BASE), traj_vocab_size=90)
