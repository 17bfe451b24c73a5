"""The vision-language model with trajectories among its tokens: settings, tokens, and their fusion into prompts."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3VLForConditionalGeneration,
)
from transformers.utils import is_flash_attn_2_available

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models import loading
from alpamayo_r1.models.instantiate import instantiate
from alpamayo_r1.models.processing import save_processing
from alpamayo_r1.models.prompts import prompt_of
from alpamayo_r1.models.token_utils import SPECIAL_TOKENS, SPECIAL_TOKENS_KEYS, TRAJ_TOKEN
from alpamayo_r1.models.training_output import TrainingOutput, sums_by_answer
from alpamayo_r1.models.trajectory_data import check_poses

_log = logging.getLogger(__name__)

__all__ = [
    "SPECIAL_TOKENS",
    "SPECIAL_TOKENS_KEYS",
    "TRAJ_TOKEN",
    "ReasoningVLA",
    "ReasoningVLAConfig",
    "replace_pad_token",
    "tokenize_future_trajectory",
    "tokenize_history_trajectory",
]


class ReasoningVLAConfig(PreTrainedConfig):
    """Settings of the vision-language model and of the tokens of trajectories; names as in released checkpoints.

    Attributes:
        vlm_name_or_path: where the base model's configuration and tokenizer are: a folder, relative to the checkpoint's
            or to the folder that holds it, or a name on the Hugging Face hub.
        vlm_backend: "qwenvl3".
        vlm_config: the base model's configuration itself; saved checkpoints carry it, so that they need nothing else.
        traj_tokenizer_cfg: ``_target_`` and arguments of the tokenizer of futures, or None.
        hist_traj_tokenizer_cfg: of histories; without it they are encoded by that of futures.
        traj_vocab_size: how many ``<i*>`` tokens there are.
        tokens_per_history_traj: placeholders of one history in a prompt.
        tokens_per_future_traj: placeholders of one future.
        model_dtype: of the weights when ``from_pretrained`` is given none and the checkpoint names none.
        attn_implementation: "flash_attention_2" (sdpa where that is not installed), "sdpa" or "eager".
        min_pixels, max_pixels: of an image; None for the released model's.
        add_special_tokens: whether all of ``SPECIAL_TOKENS`` are in the vocabulary, or only ``TRAJ_TOKEN``.
        vocab_size: of the extended tokenizer; None to take the tokenizer's.
        traj_token_start_idx: the id of ``<i0>``; filled in from the tokenizer, as is the next one.
        traj_token_ids: the ids of ``TRAJ_TOKEN``.
    """

    model_type = "alpamayo_reasoning_vla"

    vlm_name_or_path: str = "Qwen/Qwen3-VL-8B-Instruct"
    vlm_backend: str = "qwenvl3"
    vlm_config: dict[str, Any] | None = None
    traj_tokenizer_cfg: dict[str, Any] | None = None
    hist_traj_tokenizer_cfg: dict[str, Any] | None = None
    traj_vocab_size: int = 768
    tokens_per_history_traj: int = 16
    tokens_per_future_traj: int = 64
    model_dtype: str = "bfloat16"
    attn_implementation: str = "flash_attention_2"
    min_pixels: int | None = None
    max_pixels: int | None = None
    add_special_tokens: bool = False
    vocab_size: int | None = None
    traj_token_start_idx: int | None = None
    traj_token_ids: dict[str, int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self._attn_implementation = usable_attention(self.attn_implementation)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any) -> Self:
        """Read a checkpoint's settings; they keep where that is, for what they name lies beside it."""
        kwargs.setdefault("name_or_path", str(pretrained_model_name_or_path))
        settings: Self = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        return settings

    @property
    def trajectory_tokens(self) -> list[str]:
        """The ordinary tokens ``<i0>``, ``<i1>``, ..."""
        return [f"<i{i}>" for i in range(self.traj_vocab_size)]

    @property
    def special_tokens(self) -> list[str]:
        """The special tokens of this configuration, in the order in which they are added."""
        return list((SPECIAL_TOKENS if self.add_special_tokens else TRAJ_TOKEN).values())


def usable_attention(wanted: str) -> str:
    """Return the attention to compute with: what is wanted, or sdpa where flash attention is not installed."""
    if wanted == "flash_attention_2" and not is_flash_attn_2_available():
        _log.info("flash_attention_2 is not installed: attention is computed with sdpa. For it: pip install flash-attn")
        return "sdpa"
    return wanted


def tokenize_history_trajectory(tokenizer: Any, traj_data: Mapping[str, Tensor], start_idx: int = 0) -> Tensor:
    """Return histories as tokens.

    Args:
        tokenizer: a trajectory tokenizer; it is given the history as what follows its own first pose.
        traj_data: "ego_history_xyz" (B, n_group, T, 3) in m and "ego_history_rot" (B, n_group, T, 3, 3).
        start_idx: the id of the tokenizer's first token.

    Returns:
        (B, n_group * tokens) int64.

    Raises:
        AlpamayoError: poses are missing, of another shape or type, or not finite.
    """
    xyz, rot = check_poses(traj_data, "ego_history")
    return _encode(tokenizer, xyz[..., :1, :], rot[..., :1, :, :], xyz, rot) + start_idx


def tokenize_future_trajectory(tokenizer: Any, traj_data: Mapping[str, Tensor], start_idx: int = 0) -> Tensor:
    """Return futures as tokens (B, n_group * tokens) int64: of "ego_future_xyz" and "ego_future_rot", likewise."""
    history, future = check_poses(traj_data, "ego_history"), check_poses(traj_data, "ego_future")
    return _encode(tokenizer, *history, *future) + start_idx


def _encode(tokenizer: Any, *poses: Tensor) -> Tensor:
    batch, groups = poses[0].shape[:2]
    tokens: Tensor = tokenizer.encode(*(pose.flatten(0, 1) for pose in poses))
    return tokens.reshape(batch, groups * tokens.shape[-1])


def replace_pad_token(input_ids: Tensor, new_ids: Tensor, pad_token_id: int) -> Tensor:
    """Return ``input_ids`` (B, L) with each row's placeholders replaced, in order, by its ``new_ids`` (B, N).

    Raises:
        AlpamayoError: a row has not N placeholders.
    """
    places = input_ids == pad_token_id
    counts = places.sum(dim=1)
    if len(input_ids) != len(new_ids) or bool((counts != new_ids.shape[1]).any()):
        raise AlpamayoError(
            f"prompt: expected {new_ids.shape[1]} placeholders (token {pad_token_id}) in each of {len(new_ids)} rows, "
            f"found {counts.tolist()}. The number comes from the configuration: pass it to create_message."
        )
    return input_ids.masked_scatter(places, new_ids.to(device=input_ids.device, dtype=input_ids.dtype))


class ReasoningVLA(PreTrainedModel):
    """A vision-language model whose prompts hold trajectories.

    Attributes:
        vlm: Hugging Face's Qwen3-VL, with its vocabulary extended.
        tokenizer: the extended tokenizer, padding on the left.
        traj_tokenizer, hist_traj_tokenizer: between trajectories and ``<i*>`` tokens, or None.
    """

    config_class = ReasoningVLAConfig
    base_model_prefix = ""
    _supports_sdpa = True
    _supports_flash_attn = True
    # Standard deviations and frequencies: rounding them to 8 bits would cost centimetres.
    _keep_in_fp32_modules_strict: list[str] = ["action_space", "freqs"]  # noqa: RUF012  (transformers' name and type)

    config: ReasoningVLAConfig
    tokenizer: PreTrainedTokenizerBase

    def __init__(self, config: ReasoningVLAConfig) -> None:
        super().__init__(config)
        vlm_config = loading.vlm_config_of(config)
        self.tokenizer = loading.load_tokenizer(config)
        loading.settle_vocabulary(config, vlm_config, self.tokenizer)
        vlm_config._attn_implementation = usable_attention(config.attn_implementation)
        for part in (vlm_config, vlm_config.text_config, vlm_config.vision_config):
            part.dtype = torch.get_default_dtype()  # not what the base model was saved as
        self.vlm = Qwen3VLForConditionalGeneration(vlm_config)
        with torch.device("cpu"):  # transformers builds on the meta device; these have nothing in the checkpoint
            self.traj_tokenizer = _tokenizer_of(config.traj_tokenizer_cfg)
            self.hist_traj_tokenizer = _tokenizer_of(config.hist_traj_tokenizer_cfg)
        self._check_trajectory_vocabulary()
        if type(self) is ReasoningVLA:
            self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any) -> Self:
        """Load a checkpoint, from a folder or the Hugging Face hub; see ``loading.load_checkpoint``."""
        name = str(pretrained_model_name_or_path)
        model: Self = loading.load_checkpoint(cls, super().from_pretrained, name, *args, **kwargs)
        return model

    def set_attn_implementation(self, attn_implementation: str | dict[str, str], **kwargs: Any) -> None:
        """Change the attention of all parts, and what is saved."""
        super().set_attn_implementation(attn_implementation, **kwargs)
        self.config.attn_implementation = self.config._attn_implementation

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save weights, configuration, tokenizer and image processor: all that loading needs."""
        super().save_pretrained(save_directory, **kwargs)
        save_processing(self.tokenizer, save_directory)

    def forward(self, **batch: Any) -> TrainingOutput:
        """Return the loss of a batch: ``language_loss``."""
        return self.language_loss(**batch)

    def language_loss(
        self,
        tokenized_data: Mapping[str, Tensor],
        loss_mask: Tensor,
        ego_history_xyz: Tensor,
        ego_history_rot: Tensor,
        ego_future_xyz: Tensor | None = None,
        ego_future_rot: Tensor | None = None,
        **other: Any,
    ) -> TrainingOutput:
        """Return the cross entropy of what the assistant is to write, each token predicted from those before it.

        Args:
            tokenized_data: whole conversations, padded on the left, trajectories still as placeholders.
            loss_mask: (B, L) bool: the tokens that the loss is on; the first column has none before it.
            ego_history_xyz: (B, 1, T, 3) m.
            ego_history_rot: (B, 1, T, 3, 3).
            ego_future_xyz: likewise, where the conversations hold the future.
            ego_future_rot: likewise.
            other: what else a batch holds; not used.

        Raises:
            AlpamayoError: a batch that cannot be used.
        """
        poses = {"ego_history_xyz": ego_history_xyz, "ego_history_rot": ego_history_rot}
        if ego_future_xyz is not None and ego_future_rot is not None:
            poses |= {"ego_future_xyz": ego_future_xyz, "ego_future_rot": ego_future_rot}
        poses = {name: pose.to(self.device) for name, pose in poses.items()}
        prompt = prompt_of(tokenized_data, self.vlm, lambda ids: self.fuse_traj_tokens(ids, poses))
        if loss_mask.shape != prompt.input_ids.shape or loss_mask.dtype != torch.bool:
            raise AlpamayoError(
                f"loss_mask: expected bool {tuple(prompt.input_ids.shape)}, as input_ids, found {loss_mask.dtype} "
                f"{tuple(loss_mask.shape)}."
            )
        hidden = self.vlm.model(
            input_ids=prompt.input_ids,
            attention_mask=prompt.attention_mask,
            position_ids=prompt.position_ids,
            use_cache=False,
            **prompt.vision,
        ).last_hidden_state
        wanted = loss_mask[:, 1:].to(hidden.device)
        rows, columns = wanted.nonzero(as_tuple=True)
        # Of all columns the logits would be gigabytes.
        logits = self.vlm.lm_head(hidden[rows, columns]).float()
        losses = cross_entropy(logits, prompt.input_ids[rows, columns + 1], reduction="none")
        counts = wanted.sum(dim=1)
        sums = losses.new_zeros(len(counts)).index_add(0, rows, losses.detach())
        loss = losses.sum() / counts.sum().clamp(min=1)
        return TrainingOutput(
            loss=loss,
            row_losses=sums / counts.clamp(min=1),
            counts=counts,
            answers=sums_by_answer(self.tokenizer, prompt.input_ids, wanted, losses.detach()),
        )

    def fuse_traj_tokens(self, input_ids: Tensor, traj_data: Mapping[str, Tensor]) -> Tensor:
        """Return prompts with trajectories in their placeholders.

        Args:
            input_ids: (B, L) with ``tokens_per_history_traj`` times ``<|traj_history|>`` in each row, and, where
                futures are given, ``tokens_per_future_traj`` times ``<|traj_future|>``.
            traj_data: "ego_history_xyz" (B, n_group, T, 3), "ego_history_rot" (B, n_group, T, 3, 3), and, where the
                prompt holds the future, "ego_future_xyz" and "ego_future_rot".

        Returns:
            A new (B, L); what was given is left as it is.

        Raises:
            AlpamayoError: poses that cannot be used, or the wrong number of placeholders.
        """
        ids = self.config.traj_token_ids
        assert ids is not None
        history = tokenize_history_trajectory(
            self._part(self.hist_traj_tokenizer or self.traj_tokenizer, "hist_traj_tokenizer_cfg"),
            traj_data,
            self.hist_token_start_idx,
        )
        fused = replace_pad_token(input_ids, history, ids["history"])
        if "ego_future_xyz" in traj_data and bool((fused == ids["future"]).any()):
            tokenizer = self._part(self.traj_tokenizer, "traj_tokenizer_cfg")
            future = tokenize_future_trajectory(tokenizer, traj_data, self.future_token_start_idx)
            fused = replace_pad_token(fused, future, ids["future"])
        return fused

    @property
    def future_token_start_idx(self) -> int:
        """The id of the first token of futures: ``<i0>``."""
        assert self.config.traj_token_start_idx is not None
        return self.config.traj_token_start_idx

    @property
    def hist_token_start_idx(self) -> int:
        """The id of the first token of histories: after those of futures where they have a tokenizer of their own."""
        shared = self.hist_traj_tokenizer is None or self.traj_tokenizer is None
        return self.future_token_start_idx + (0 if shared else int(self.traj_tokenizer.vocab_size))

    @staticmethod
    def _part(tokenizer: Any, name: str) -> Any:
        if tokenizer is None:
            raise AlpamayoError(f"{name}: expected a tokenizer of trajectories in the configuration, found none.")
        return tokenizer

    def _check_trajectory_vocabulary(self) -> None:
        sizes = [int(part.vocab_size) for part in (self.traj_tokenizer, self.hist_traj_tokenizer) if part is not None]
        if sum(sizes) > self.config.traj_vocab_size:
            raise AlpamayoError(
                f"traj_vocab_size {self.config.traj_vocab_size}: expected at least {sum(sizes)}, the tokenizers' "
                f"vocabularies ({' and '.join(map(str, sizes))}) together."
            )


def _tokenizer_of(config: dict[str, Any] | None) -> Any:
    return None if config is None else instantiate(config)


AutoConfig.register(ReasoningVLAConfig.model_type, ReasoningVLAConfig, exist_ok=True)
AutoModel.register(ReasoningVLAConfig, ReasoningVLA, exist_ok=True)
