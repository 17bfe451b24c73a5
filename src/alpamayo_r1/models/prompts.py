"""Prompts that users give, checked and with their positions."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.rollout import Prompt

_PIXELS = ("pixel_values", "pixel_values_videos")
_GRIDS = ("image_grid_thw", "video_grid_thw")
TURN_START = "<|im_start|>"


def prompt_of(tokenized: Any, vlm: Qwen3VLForConditionalGeneration, fuse: Callable[[Tensor], Tensor]) -> Prompt:
    """Return prompts for the model, on its device.

    Args:
        tokenized: what a processor's ``apply_chat_template`` gives: "input_ids" (B, L), "attention_mask" (B, L; all
            ones where it is missing), pixel values and their grids. "mm_token_type_ids" is made where it is missing.
        vlm: the model.
        fuse: puts the trajectories into ids (B, L).

    Raises:
        AlpamayoError: no ids, shapes that do not fit, no left padding, or pictures that do not fit the ids.
    """
    if not isinstance(tokenized, Mapping) or not isinstance(tokenized.get("input_ids"), Tensor):
        found = (
            {key: type(value).__name__ for key, value in tokenized.items()}
            if isinstance(tokenized, Mapping)
            else tokenized
        )
        raise AlpamayoError(
            "tokenized_data: expected what processor.apply_chat_template(messages, tokenize=True, return_dict=True, "
            f'return_tensors="pt", ...) gives, with a tensor input_ids; found {str(found)[:200]}.'
        )
    ids: Tensor = tokenized["input_ids"]
    if ids.ndim != 2 or ids.is_floating_point() or 0 in ids.shape:
        raise AlpamayoError(f"input_ids: expected integers (B, L), found {ids.dtype} {tuple(ids.shape)}.")
    ids = ids.to(vlm.device, torch.int64)
    mask = _attention_mask(tokenized.get("attention_mask"), ids)
    vision = {key: tokenized[key].to(vlm.device) for key in (*_PIXELS, *_GRIDS) if tokenized.get(key) is not None}
    _check_pictures(ids, vision, vlm)
    fused = fuse(ids)
    positions, deltas = vlm.model.get_rope_index(
        fused,
        mm_token_type_ids=_token_types(tokenized.get("mm_token_type_ids"), ids, vlm),
        attention_mask=mask,
        **{key: vision.get(key) for key in _GRIDS},
    )
    return Prompt(fused, mask, positions, deltas, vision)


def _attention_mask(mask: Any, ids: Tensor) -> Tensor:
    if mask is None:
        return torch.ones_like(ids)
    if not isinstance(mask, Tensor) or mask.shape != ids.shape:
        found = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise AlpamayoError(f"attention_mask: expected {tuple(ids.shape)}, as input_ids, found {found}.")
    mask = (mask.to(ids.device) != 0).to(torch.int64)
    if bool((mask.diff(dim=1) < 0).any()) or not bool(mask[:, -1].all()):
        raise AlpamayoError(
            "attention_mask: expected padding on the left only, found rows that end in padding or have it inside. "
            'Tokenize with padding_side="left".'
        )
    return mask


def _token_types(types: Any, ids: Tensor, vlm: Qwen3VLForConditionalGeneration) -> Tensor:
    """Return 0 for text, 1 for images and 2 for videos, (B, L)."""
    if isinstance(types, Tensor) and types.shape == ids.shape:
        return types.to(ids.device)
    return (ids == vlm.config.image_token_id).long() + 2 * (ids == vlm.config.video_token_id).long()


def _check_pictures(ids: Tensor, vision: dict[str, Tensor], vlm: Qwen3VLForConditionalGeneration) -> None:
    merged = vlm.config.vision_config.spatial_merge_size**2
    places = (vlm.config.image_token_id, vlm.config.video_token_id)
    for pixels, grid, token in zip(_PIXELS, _GRIDS, places, strict=True):
        expected = int((ids == token).sum())
        given = int(vision[grid].prod(dim=-1).sum()) if grid in vision else 0
        rows = len(vision[pixels]) if pixels in vision else 0
        if given != rows or expected * merged != given:
            raise AlpamayoError(
                f"{pixels}: expected {expected * merged} patches, for {expected} tokens of the prompt, found {rows}, "
                f"and {given} in {grid}."
            )
        if rows and not bool(torch.isfinite(vision[pixels]).all()):
            raise AlpamayoError(f"{pixels}: expected finite numbers, found NaN or infinity.")


def without_other_turns(token_ids: Tensor, prompt_length: int, tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Return ``token_ids`` (R, L) with padding where another than the last turn of the prompt speaks.

    A question in the prompt may contain what looks like an answer.
    """
    starts = token_ids[:, :prompt_length] == tokenizer.convert_tokens_to_ids(TURN_START)
    columns = torch.arange(token_ids.shape[1], device=token_ids.device)
    last = torch.where(starts, columns[:prompt_length], 0).amax(dim=1)
    return token_ids.masked_fill(columns < last[:, None], tokenizer.pad_token_id)
