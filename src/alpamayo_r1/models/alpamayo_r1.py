"""The reasoning model: a vision-language model writes the Chain-of-Causation, an action expert drives on from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModel, Cache, LogitsProcessor, LogitsProcessorList

from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.counts import is_count
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.attention import grouped
from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.models.cache import GrowingCache
from alpamayo_r1.models.context import Context, read_context
from alpamayo_r1.models.expert import action_mask, action_positions, build_expert, expert_attention
from alpamayo_r1.models.instantiate import instantiate
from alpamayo_r1.models.prompts import TURN_START, prompt_of, without_other_turns
from alpamayo_r1.models.randomness import Randomness, drawn_for, randomness_of
from alpamayo_r1.models.rollout import Prompt, Sampling, Writer, Written
from alpamayo_r1.models.token_utils import extract_text_tokens
from alpamayo_r1.models.training_output import TrainingOutput
from alpamayo_r1.models.trajectory_data import check_poses


class ExpertLogitsProcessor(LogitsProcessor):
    """Keeps the discrete trajectory tokens out of what is written: the expert predicts the trajectory."""

    def __init__(self, traj_token_offset: int, traj_vocab_size: int, then: LogitsProcessorList | None = None) -> None:
        """Close ``traj_vocab_size`` tokens from ``traj_token_offset``, the id of ``<i0>``.

        What ``then`` does, such as nucleus sampling, is done to the scores of the others alone: what is closed need not
        be sorted.
        """
        self._closed = slice(traj_token_offset, traj_token_offset + traj_vocab_size)
        self._then = then

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return new scores (R, V), minus infinity for trajectory tokens."""
        start, stop = self._closed.start, self._closed.stop
        before, after = scores[:, :start], scores[:, stop:]
        closed = torch.full_like(scores[:, self._closed], float("-inf"))
        if self._then is not None:
            kept = self._then(input_ids, torch.cat([before, after], dim=1))
            before, after = kept[:, :start], kept[:, start:]
        return torch.cat([before, closed, after], dim=1)


class AlpamayoR1(ReasoningVLA):
    """Reasons about a scene in words and predicts trajectories.

    Attributes:
        expert: the decoder that reads the vision-language model's cache.
        action_space: what actions mean.
        diffusion: draws actions.
        action_in_proj, action_out_proj: between actions and the expert's tokens.

    Example:
        >>> model = AlpamayoR1.from_pretrained("path/to/checkpoint", dtype=torch.bfloat16).to("cuda")
        >>> model.sample_trajectories_from_data_with_vlm_rollout(data)
    """

    config_class = AlpamayoR1Config
    config: AlpamayoR1Config

    def __init__(self, config: AlpamayoR1Config) -> None:
        super().__init__(config)
        self.build_expert_parts()
        if not config.keep_same_dtype:
            self._keep_in_fp32_modules_strict = [
                *self._keep_in_fp32_modules_strict,
                "action_in_proj",
                "action_out_proj",
            ]
        self.post_init()

    def build_expert_parts(self) -> None:
        """Make what the language model has not, with random weights: the expert, its projections, what actions mean."""
        config = self.config
        self.expert = build_expert(self.vlm.config.text_config, config.expert_cfg)
        hidden = self.expert.config.hidden_size
        with torch.device("cpu"):
            self.action_space = instantiate(_needed(config, "action_space_cfg"))
            dims = tuple(self.action_space.get_action_space_dims())
            self.diffusion = instantiate(_needed(config, "diffusion_cfg"), x_dims=list(dims))
        self.action_in_proj = instantiate(_needed(config, "action_in_proj_cfg"), in_dims=list(dims), out_dim=hidden)
        self.action_out_proj = instantiate(
            _needed(config, "action_out_proj_cfg"), in_features=hidden, out_features=dims[-1]
        )

    def set_attn_implementation(self, attn_implementation: str | dict[str, str], **kwargs: Any) -> None:
        """Change the attention of all parts, and what is saved; the expert never gets one that knows no masks."""
        super().set_attn_implementation(attn_implementation, **kwargs)
        self.expert.config._attn_implementation = expert_attention(self.expert.config._attn_implementation)

    def forward(self, **batch: Any) -> TrainingOutput:
        """Return the expert's loss of a batch: ``flow_matching_loss``; ``language_loss`` is the language model's."""
        return self.flow_matching_loss(**batch)

    def flow_matching_loss(
        self,
        ego_history_xyz: Tensor,
        ego_history_rot: Tensor,
        ego_future_xyz: Tensor,
        ego_future_rot: Tensor,
        tokenized_data: Mapping[str, Tensor] | None = None,
        context: Context | None = None,
        seeds: Sequence[int] | None = None,
        **other: Any,
    ) -> TrainingOutput:
        """Return how far the expert's vector field v is from that to the actions a driven: ``|v - (a - noise)|^2``.

        What the vision-language model has read gets no gradients. Each row is read up to its own
        ``<|traj_future_start|>``; one without is left out of the loss.

        Args:
            ego_history_xyz: (B, 1, T, 3) m.
            ego_history_rot: (B, 1, T, 3, 3).
            ego_future_xyz: (B, 1, waypoints, 3) m.
            ego_future_rot: (B, 1, waypoints, 3, 3).
            tokenized_data: conversations, padded on the left, histories still as placeholders.
            context: what ``read_context`` gave for them, instead.
            seeds: of noise and time, an integer for each row; None draws them from torch's generator.
            other: what else a batch holds; not used.

        Raises:
            AlpamayoError: a batch that cannot be used.
        """
        poses = {
            "ego_history_xyz": ego_history_xyz,
            "ego_history_rot": ego_history_rot,
            "ego_future_xyz": ego_future_xyz,
            "ego_future_rot": ego_future_rot,
        }
        if context is None:
            context = self.read_context({"tokenized_data": tokenized_data, **poses})
        history, future = (
            tuple(pose[:, 0].to(self.device) for pose in check_poses(poses, name))
            for name in ("ego_history", "ego_future")
        )
        actions = self.action_space.traj_to_action(*history, *future)
        drawn = drawn_for(seeds, actions, self.diffusion.construct_training_data)
        field = self._field_after(context, drawn["noisy_x"], drawn["timesteps"])
        rows = [{key: part[row : row + 1] for key, part in drawn.items()} for row in range(len(actions))]
        losses = torch.stack(
            [self.diffusion.compute_loss_from_pred(own, found) for own, found in zip(rows, field.split(1), strict=True)]
        )
        ended = context.ended
        loss = losses[ended].mean() if bool(ended.any()) else losses.sum() * 0.0
        return TrainingOutput(loss=loss, row_losses=losses.detach().where(ended, 0.0), counts=ended.to(torch.int64))

    def _field_after(self, context: Context, x: Tensor, t: Tensor) -> Tensor:
        """Return the expert's vector field (R, waypoints, channels) at noisy actions after what was read."""
        config = self.expert.config
        # A layer that is computed again for its gradient would find another attention then.
        again = any(layer.gradient_checkpointing for layer in self.expert.layers)
        by_groups = [config] if config._attn_implementation == "sdpa" and not again else []
        causal = not self.config.expert_non_causal_attention
        mask = action_mask(context.open_columns, x.shape[1], self._expert_dtype, causal=causal)
        with grouped(*by_groups):
            return self.vector_field(x, t, context.cache, mask, action_positions(context.next_position, x.shape[1]))

    def read_context(self, data: Mapping[str, Any]) -> Context:
        """Return what the vision-language model reads of conversations, up to each row's ``<|traj_future_start|>``.

        Args:
            data: "tokenized_data", "ego_history_xyz" and "ego_history_rot", as for inference; where the conversations
                hold the discrete future too, "ego_future_xyz" and "ego_future_rot".
        """
        poses = {key: value.to(self.device) for key, value in data.items() if key.startswith("ego_")}
        prompt = prompt_of(data.get("tokenized_data"), self.vlm, lambda ids: self.fuse_traj_tokens(ids, poses))
        assert self.config.traj_token_ids is not None
        turn_start = self.tokenizer.convert_tokens_to_ids(TURN_START)
        return read_context(self.vlm, prompt, self.config.traj_token_ids["future_start"], turn_start)

    def vector_field(self, x: Tensor, t: Tensor, cache: Cache, mask: Tensor, positions: Tensor) -> Tensor:
        """Return where noisy actions should go, according to the expert: (R, waypoints, channels) float32.

        Args:
            x: (R, waypoints, channels) noisy actions.
            t: (R, 1, 1) their times.
            cache: of what the vision-language model has read; the expert's own columns are appended.
            mask: what is added to attention scores, see ``action_mask``.
            positions: (3, R, waypoints).
        """
        hidden = self.expert(
            inputs_embeds=self.action_in_proj(x, t).to(self._expert_dtype),
            position_ids=positions,
            past_key_values=cache,
            attention_mask=mask,
            use_cache=True,
        ).last_hidden_state
        field: Tensor = self.action_out_proj(hidden.to(self.action_out_proj.weight.dtype))
        return field.reshape(x.shape).float()

    @property
    def _expert_dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.expert.layers[0].self_attn.q_proj.weight.dtype
        return dtype

    def sample_trajectories_from_data_with_vlm_rollout(
        self,
        data: Mapping[str, Any],
        top_p: float = 0.98,
        top_k: int | None = None,
        temperature: float = 0.6,
        num_traj_samples: int = 6,
        num_traj_sets: int = 1,
        diffusion_kwargs: Mapping[str, Any] | None = None,
        max_generation_length: int | None = None,
        return_extra: bool = False,
        seeds: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, dict[str, NDArray[Any]]]:
        """Let the model reason, and drive from each reasoning.

        Each trajectory has a reasoning of its own. Without ``seeds``, all random numbers come from torch's generator of
        the model's device: first the tokens', for all rows at once, then the actions' noise in one
        ``torch.randn(batch * sets * samples, *x_dims)``, ordered by scene, set and sample.

        Args:
            data: "tokenized_data", what the processor's ``apply_chat_template`` gives, of one scene or of several with
                padding on the left; "ego_history_xyz" (B, 1, 16, 3) in m and "ego_history_rot" (B, 1, 16, 3, 3), in the
                ego frame at t0; optionally "clip_id", for messages. Left untouched.
            top_p: nucleus sampling: the likeliest tokens that together have this probability are kept.
            top_k: keep this many of the likeliest tokens; None for all.
            temperature: lower is more deterministic.
            num_traj_samples: trajectories in a set.
            num_traj_sets: sets.
            diffusion_kwargs: for the diffusion's ``sample``, such as ``{"inference_step": 5}``.
            max_generation_length: tokens written at most; the configuration's ``tokens_per_future_traj`` where None.
            return_extra: whether to return the third value.
            seeds: an integer for each scene, (B,): its random numbers then come from a generator of its own, so that
                it gets in any batch what it gets alone with that seed, but for rounding; torch's generator is left
                as it is. None draws all scenes' from torch's generator.

        Returns:
            Positions (B, sets, samples, T, 3) in m and rotations (B, sets, samples, T, 3, 3), in the ego frame at t0,
            float32, and the extra: arrays of strings (B, sets, samples) "cot", "meta_action" and "answer", "" where the
            row did not write that to its end; "text", all that it wrote; and "stopped", bool: whether it came to the
            token that ends the reasoning. A trajectory whose row did not is drawn from what was written so far.

        Raises:
            AlpamayoError: data or arguments that cannot be used.
        """
        clip = data.get("clip_id") if isinstance(data, Mapping) else None
        try:
            sampling = self._sampling(top_p, top_k, temperature, max_generation_length)
            per_scene = _count(num_traj_samples, "num_traj_samples") * _count(num_traj_sets, "num_traj_sets")
            with torch.no_grad(), grouped(self.vlm.config.text_config, self.expert.config):
                prompt, history = self._read_data(data)
                randomness = randomness_of(seeds, len(prompt.input_ids), self.device)
                rows = len(prompt.input_ids) * per_scene
                noise = randomness.noise(rows, self.action_space.get_action_space_dims(), self.device)
                written = self._write(prompt, per_scene, sampling, randomness)
                actions = self._drive(written, dict(diffusion_kwargs or {}), noise)
                xyz, rot = self.action_space.action_to_traj(
                    actions, *(pose.repeat_interleave(per_scene, dim=0) for pose in history)
                )
        except AlpamayoError as error:
            if clip is None:
                raise
            raise AlpamayoError(f"clip {clip}: {error}") from error
        shape = (len(prompt.input_ids), num_traj_sets, num_traj_samples)
        xyz, rot = (pose.reshape(*shape, *pose.shape[1:]) for pose in (xyz, rot))
        return (xyz, rot, self._extra(written, prompt, shape)) if return_extra else (xyz, rot)

    def _sampling(self, top_p: float, top_k: int | None, temperature: float, length: int | None) -> Sampling:
        return Sampling(top_p, top_k, temperature, self.config.tokens_per_future_traj if length is None else length)

    def _read_data(self, data: Mapping[str, Any]) -> tuple[Prompt, tuple[Tensor, Tensor]]:
        """Return the fused prompt, and histories (B, T, 3) and (B, T, 3, 3), all on the model's device."""
        xyz, rot = check_poses(data, "ego_history")
        if xyz.shape[1] != 1:
            raise AlpamayoError(
                f"ego_history_xyz: expected one history per scene, (B, 1, T, 3), found {tuple(xyz.shape)}."
            )
        xyz, rot = xyz.to(self.device), rot.to(self.device)
        prompt = prompt_of(
            data.get("tokenized_data"),
            self.vlm,
            lambda ids: self.fuse_traj_tokens(ids, {"ego_history_xyz": xyz, "ego_history_rot": rot}),
        )
        return prompt, (xyz[:, 0], rot[:, 0])

    def _write(self, prompt: Prompt, samples: int, sampling: Sampling, randomness: Randomness | None = None) -> Written:
        assert self.config.traj_token_ids is not None
        assert self.config.traj_token_start_idx is not None
        turn_ends = self.vlm.generation_config.eos_token_id
        ids = () if turn_ends is None else (turn_ends,) if isinstance(turn_ends, int) else tuple(turn_ends)
        pad = self.tokenizer.pad_token_id
        assert isinstance(pad, int)
        spare = self.action_space.get_action_space_dims()[0]
        writer = Writer(self.vlm, self.config.traj_token_ids["future_start"], ids, pad, spare, randomness)
        drawn_from = ExpertLogitsProcessor(
            self.config.traj_token_start_idx, self.config.traj_vocab_size, then=sampling.processors()
        )
        return writer.write(prompt, samples, drawn_from, sampling.max_length)

    def _drive(self, written: Written, diffusion_kwargs: dict[str, Any], noise: Tensor | None = None) -> Tensor:
        """Return normalised actions (R, waypoints, channels), float32, drawn by the expert from each row's cache."""
        if noise is not None:
            diffusion_kwargs = diffusion_kwargs | {"noise": noise}
        rows = len(written.token_ids)
        tokens = self.action_space.get_action_space_dims()[0]
        field = VectorField(self, written.cache, written.open_columns, written.next_position, tokens)
        actions: Tensor = self.diffusion.sample(
            batch_size=rows, step_fn=field, device=self.device, return_all_steps=False, **diffusion_kwargs
        )
        return actions

    def _extra(self, written: Written, prompt: Prompt, shape: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
        turn = without_other_turns(written.token_ids, prompt.length, self.tokenizer)
        texts = extract_text_tokens(self.tokenizer, turn)
        said = self.tokenizer.batch_decode(
            [row[row != self.tokenizer.pad_token_id] for row in written.token_ids[:, prompt.length :]],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        return {
            **{name: np.array(found).reshape(shape) for name, found in texts.items()},
            "text": np.array(said).reshape(shape),
            "stopped": written.stopped.cpu().numpy().reshape(shape),
        }


class VectorField:
    """Where noisy actions should go, according to the expert: what the diffusion calls at each of its steps.

    Mask and positions are made once. After each step the cache is what it was before.
    """

    def __init__(
        self, model: AlpamayoR1, cache: GrowingCache, open_columns: Tensor, next_position: Tensor, tokens: int
    ) -> None:
        """Read ``cache``, of which rows see ``open_columns`` (R, columns), and begin at ``next_position`` (R,)."""
        self._model = model
        self._cache = cache
        self._length = int(open_columns.any(dim=0).nonzero().max()) + 1  # what no row sees is cut off
        cache.cut(self._length)
        causal = not model.config.expert_non_causal_attention
        self._mask = action_mask(open_columns[:, : self._length], tokens, model._expert_dtype, causal=causal)
        self._positions = action_positions(next_position, tokens)

    def __call__(self, *, x: Tensor, t: Tensor) -> Tensor:
        """Return the vector field (R, waypoints, channels) float32 at actions ``x`` of that shape and times ``t``."""
        field = self._model.vector_field(x, t, self._cache, self._mask, self._positions)
        self._cache.cut(self._length)
        return field


def _needed(config: AlpamayoR1Config, name: str) -> dict[str, Any]:
    value = getattr(config, name)
    if not isinstance(value, Mapping):
        raise AlpamayoError(f"{name}: expected a _target_ and its arguments in the configuration, found {value!r}.")
    return dict(value)


def _count(value: Any, name: str) -> int:
    if not is_count(value):
        raise AlpamayoError(f"{name}: expected a number from 1, found {value!r}.")
    return int(value)


AutoModel.register(AlpamayoR1Config, AlpamayoR1, exist_ok=True)
