"""What scripts need around the model: its prompt, its processor, and moving data to its device."""

from collections import UserDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.processing import build_processor
from alpamayo_r1.models.token_utils import to_special_token

SYSTEM_PROMPT = "You are a driving assistant that generates safe and accurate actions."
TOKENS_PER_HISTORY_TRAJ = 48  # of the released model: 16 poses, three coordinates each

# What the model can be asked to write, in the order in which it does.
REQUESTS = {
    "cot": "output the chain-of-thought reasoning of the driving process",
    "meta_action": "output meta actions",
    "traj_future": "output the future trajectory",
}


def create_message(
    frames: Tensor,
    components: Sequence[str] = ("cot", "traj_future"),
    tokens_per_history_traj: int = TOKENS_PER_HISTORY_TRAJ,
) -> list[dict[str, Any]]:
    """Return the conversation about a scene, up to where the model goes on writing.

    Args:
        frames: (N, 3, H, W) uint8 RGB, camera by camera in the order of their indices, oldest first.
        components: what to ask for, of ``REQUESTS``.
        tokens_per_history_traj: placeholders of the history; the model's ``config.tokens_per_history_traj``.

    Returns:
        Messages that end in an assistant's turn that begins the first component: give them to a processor's
        ``apply_chat_template`` with ``continue_final_message=True``.

    Raises:
        AlpamayoError: frames of another shape or type, or a component that is not known.
    """
    if not isinstance(frames, Tensor) or frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
        found = tuple(frames.shape) if isinstance(frames, Tensor) else type(frames).__name__
        raise AlpamayoError(f"frames: expected a tensor (N, 3, H, W), found {found}. Flatten cameras and frames first.")
    if frames.dtype != torch.uint8:
        raise AlpamayoError(f"frames: expected uint8 from 0 to 255, found {frames.dtype}.")
    if not components or any(name not in REQUESTS for name in components):
        raise AlpamayoError(f"components: expected some of {', '.join(REQUESTS)}, found {list(components)}.")
    asked = [name for name in REQUESTS if name in components]
    start, pad, end = (to_special_token(f"traj_history{part}") for part in ("_start", "", "_end"))
    request = ", then ".join(REQUESTS[name] for name in asked) + "."
    text = start + pad * tokens_per_history_traj + end + request
    images = [{"type": "image", "image": frame} for frame in frames]
    return [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM_PROMPT}]},
        {"role": "user", "content": [*images, {"type": "text", "text": text}]},
        {"role": "assistant", "content": [{"type": "text", "text": to_special_token(f"{asked[0]}_start")}]},
    ]


def get_processor(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the processor that turns messages into the model's inputs.

    The image processor is the one in the tokenizer's folder, or else Qwen3-VL's; images are resized to between the
    configuration's ``min_pixels`` and ``max_pixels``, or the released model's. Nothing is downloaded.

    Args:
        tokenizer: ``model.tokenizer``.

    Raises:
        AlpamayoError: the tokenizer lacks the model's tokens or a chat template.
        ImportError: torchvision is missing; the message says how to install it.
    """
    return build_processor(tokenizer)


def to_device(data: Any, device: torch.device | str, dtype: torch.dtype | None = None) -> Any:
    """Return data, nested in mappings, lists and tuples, with its tensors on a device; what was given is untouched.

    Args:
        data: anything; what is no tensor stays as it is.
        device: where to.
        dtype: of floating point tensors, such as pixels. Poses (``ego_*``) keep theirs: 8 bits of mantissa would round
            a position 60 m ahead to 25 cm.
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype if dtype is not None and data.is_floating_point() else data.dtype)
    if isinstance(data, Mapping):
        moved = {k: to_device(v, device, None if str(k).startswith("ego_") else dtype) for k, v in data.items()}
        return type(data)(moved) if isinstance(data, UserDict) else moved  # a processor's keep their attributes
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(to_device(value, device, dtype) for value in data))
    if isinstance(data, list | tuple):
        return type(data)(to_device(value, device, dtype) for value in data)
    return data
