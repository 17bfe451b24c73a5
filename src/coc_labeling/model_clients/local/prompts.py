"""From a request's body to what vLLM takes: the text of the chat template, and pictures as arrays with their times."""

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from coc_labeling.model_clients.errors import RequestRefused

Template = Callable[[list[dict[str, Any]], Mapping[str, Any]], str]

# Frames are numbered in milliseconds. The model is told index / fps, so these are their times to the millisecond; the
# file's own indices and rate would only do for a video of constant rate whose beginning is the window's.
_TICKS_PER_S = 1000


def to_prompt(body: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """Return a request's prompt for vLLM: text, pictures and their names.

    The names (``multi_modal_uuids``) are hashes of what was sent: stage 2 of a window shows the video of stage 1 again,
    and is spared its preparation, its encoding, and with the prefix cache its tokens.

    Raises:
        RequestRefused: a picture that cannot be read.
    """
    images: list[Any] = []
    videos: list[Any] = []
    said = [_plain(message, images, videos) for message in body["messages"]]
    prompt: dict[str, Any] = {"prompt": template(said, body.get("chat_template_kwargs") or {})}
    shown = {"image": images, "video": videos}
    if images or videos:
        prompt["multi_modal_data"] = {kind: [data for data, _ in items] for kind, items in shown.items() if items}
        prompt["multi_modal_uuids"] = {kind: [name for _, name in items] for kind, items in shown.items() if items}
    return prompt


def _plain(message: Mapping[str, Any], images: list[Any], videos: list[Any]) -> dict[str, Any]:
    """Return a message whose pictures are placeholders; the pictures are added to the lists."""
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts = []
    for part in content:
        if part["type"] == "image_url":
            url = part["image_url"]["url"]
            images.append((_array(url), _name([url])))
            parts.append({"type": "image"})
        elif part["type"] == "video":
            frames, seconds = part["video"]["frames"], part["video"]["seconds"]
            videos.append((_video(frames, seconds), _name([*frames, str(list(seconds))])))
            parts.append({"type": "video"})
        else:
            parts.append({"type": "text", "text": part["text"]})
    return {"role": message["role"], "content": parts}


def _video(frames: Sequence[str], seconds: Sequence[float]) -> tuple[np.ndarray, dict[str, Any]]:
    arrays = [_array(frame) for frame in frames]
    sizes = {array.shape for array in arrays}
    if len(sizes) > 1:
        raise RequestRefused(
            f"the frames of a video differ in size: {sorted(sizes)}; expected one size", code="bad_picture"
        )
    ticks = [round(second * _TICKS_PER_S) for second in seconds]
    if len(arrays) == 1:  # two frames make a token; the processor fills up odd numbers itself, except for one
        arrays, ticks = arrays * 2, ticks * 2
    metadata = {
        "fps": float(_TICKS_PER_S),
        "frames_indices": ticks,
        "total_num_frames": len(arrays),
        "duration": seconds[-1],
        "do_sample_frames": False,  # the processor would otherwise choose among them
    }
    return np.stack(arrays), metadata


def _array(data_uri: str) -> np.ndarray:
    """Return a picture as (height, width, 3) of uint8, RGB."""
    from PIL import Image

    try:
        data = base64.b64decode(data_uri.partition(",")[2], validate=True)
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestRefused(f"a picture cannot be read: {type(error).__name__}", code="bad_picture") from error


def _name(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\n")
    return digest.hexdigest()
