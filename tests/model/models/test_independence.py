"""What trajectories depend on, and what they do not."""

import pytest
import torch

from alpamayo_r1.models import alpamayo_r1 as module
from sampled import END, TEXT, sample
from tiny_model import BASE, SceneSpec, data_of, scripted, tiny_model, write_base

WAYPOINTS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(write_base(tmp_path_factory.mktemp("base") / BASE))


class TestIndependence:
    def test_of_who_else_is_in_the_batch(self, model, noise):
        scenes = [SceneSpec(), SceneSpec(seed=1, frames=3), SceneSpec(seed=2, frames=1)]
        together, _, extra = sample(model, data_of(model, *scenes), max_generation_length=16)
        for row, scene in enumerate(scenes):
            noise.rows[:] = [row]
            alone, _, own = sample(model, data_of(model, scene), max_generation_length=16)
            torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-5)
            assert extra["text"][row].tolist() == own["text"][0].tolist()
        noise.rows.clear()

    def test_of_rows_that_write_longer(self, model, noise):
        data = data_of(model, SceneSpec())
        scripts = [["a", END], ["a", *"bcdefgh", END]]
        with scripted(model, scripts):
            both, _ = model.sample_trajectories_from_data_with_vlm_rollout(
                data, num_traj_samples=2, max_generation_length=12
            )
        alone, _, _ = sample(model, data, ["a", END])
        torch.testing.assert_close(both[0, 0, 0], alone[0, 0, 0], atol=1e-5, rtol=1e-5)

    def test_of_padding(self, model, noise):
        data = data_of(model, SceneSpec())
        tokenized = dict(data["tokenized_data"])
        wanted, _, _ = sample(model, data, TEXT)
        for filler in (256, 5):
            padded = tokenized | {
                "input_ids": torch.nn.functional.pad(tokenized["input_ids"], (7, 0), value=filler),
                "attention_mask": torch.nn.functional.pad(tokenized["attention_mask"], (7, 0), value=0),
                "mm_token_type_ids": torch.nn.functional.pad(tokenized["mm_token_type_ids"], (7, 0), value=0),
            }
            own, _, _ = sample(model, data | {"tokenized_data": padded}, TEXT)
            torch.testing.assert_close(own, wanted, atol=1e-5, rtol=1e-5)

    def test_of_what_follows_the_end(self, model, noise):
        data = data_of(model, SceneSpec())
        first, _, _ = sample(model, data, [*TEXT, "x"])
        second, _, _ = sample(model, data, [*TEXT, "y"])
        assert torch.equal(first, second)

    def test_not_of_the_prompt(self, model, noise):
        """Changing any token of the prompt that is text changes the trajectory."""
        data = data_of(model, SceneSpec())
        ids = data["tokenized_data"]["input_ids"]
        wanted, _, _ = sample(model, data, TEXT)
        letters = ((ids[0] < 256) | (ids[0] > 262)).nonzero()[:, 0].tolist()
        kept = set(model.config.traj_token_ids.values())
        for place in [i for i in letters if int(ids[0, i]) not in kept][::11]:
            changed = ids.clone()
            changed[0, place] = (int(ids[0, place]) + 1) % 256
            own, _, _ = sample(model, data | {"tokenized_data": data["tokenized_data"] | {"input_ids": changed}}, TEXT)
            assert (own - wanted).abs().max() > 1e-6, place

    @pytest.mark.parametrize("change", ["text", "pixels", "history"])
    def test_not_of_text_pixels_and_history(self, model, noise, change):
        data = data_of(model, SceneSpec())
        wanted, _, _ = sample(model, data, TEXT)
        script = TEXT
        if change == "text":
            script = ["B", *TEXT[1:]]
        elif change == "pixels":
            tokenized = dict(data["tokenized_data"])
            data = data | {"tokenized_data": tokenized | {"pixel_values": -tokenized["pixel_values"]}}
        else:
            data = data | {"ego_history_xyz": data["ego_history_xyz"] * 0.5}
        own, _, _ = sample(model, data, script)
        assert (own - wanted).abs().max() > 1e-4

    def test_every_action_token_sees_every_other(self, model, noise):
        """Non-causal: the noise of the last waypoint changes the first action."""
        data = data_of(model, SceneSpec())
        firsts = []
        for causal in (False, True):
            model.config.expert_non_causal_attention = not causal
            for seed in (0, 1):
                with torch.no_grad(), scripted(model, [TEXT]):
                    prompt, _ = model._read_data(data)
                    own = model._write(prompt, 1, model._sampling(1.0, 1, 1.0, 12))
                field = module.VectorField(model, own.cache, own.open_columns, own.next_position, WAYPOINTS)
                x = torch.zeros(1, WAYPOINTS, 2)
                x[0, -1] = float(seed)
                with torch.no_grad():
                    firsts.append(field(x=x, t=torch.zeros(1, 1, 1))[0, 0])
        model.config.expert_non_causal_attention = True
        assert not torch.equal(firsts[0], firsts[1])
        torch.testing.assert_close(firsts[2], firsts[3], atol=1e-6, rtol=0)
