"""Small conversations, and their golden prompts: the token ids that a model must read.

``python tests/vllm/conversations.py`` writes the golden prompts again, as the processor of transformers makes them.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GOLDEN = Path(__file__).parent / "golden"
FAMILIES = ("qwen3_vl", "qwen3_5")
SIZE = (64, 96)  # height, width


def picture(number: int) -> str:
    """Return a picture as a data URI; it is stored without loss."""
    rows, columns = np.indices(SIZE)
    pixels = np.stack([rows * 3, columns * 2, (rows + columns + 40 * number) % 256], axis=2).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return f"data:image/png;base64,{base64.b64encode(sink.getvalue()).decode()}"


def pixels_of(data_uri: str) -> np.ndarray:
    """Return (height, width, 3) of uint8."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data_uri.partition(",")[2]))))


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def shown(number: int) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": picture(number)}}


def video(*seconds: float) -> dict[str, Any]:
    frames = [picture(number) for number in range(len(seconds))]
    return {"type": "video", "video": {"frames": frames, "seconds": list(seconds)}}


SYSTEM = {"role": "system", "content": "You label recorded driving. Answer with one JSON object."}
ANSWER = '{"unreadable":false,"components":[]}'
TIMED = [said("t=-0.50s"), shown(0), said("t=0.00s"), shown(1)]
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "text": [SYSTEM, {"role": "user", "content": "Ego speed (m/s): 12.34, größer als 0."}],
    "two_images_with_times": [SYSTEM, {"role": "user", "content": TIMED}],
    "video_of_4_frames": [SYSTEM, {"role": "user", "content": [said("Frames:"), video(0.0, 0.5, 1.017, 1.5)]}],
    "video_of_5_frames": [SYSTEM, {"role": "user", "content": [said("Frames:"), video(0.0, 0.5, 1.0, 1.5, 2.0)]}],
    "two_turns": [
        SYSTEM,
        {"role": "user", "content": TIMED},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": [said("Step 2"), shown(2)]},
    ],
}
OPTIONS = {"enable_thinking": False}  # as all requests have it; Qwen3-VL's template does not read it


def by_transformers(processor: Any, messages: list[dict[str, Any]]) -> list[int]:
    """Return the prompt as transformers makes it."""
    images, videos, metadata = [], [], []
    for part in (part for message in messages if isinstance(message["content"], list) for part in message["content"]):
        if part["type"] == "image_url":
            images.append(Image.fromarray(pixels_of(part["image_url"]["url"])))
        elif part["type"] == "video":
            frames, seconds = part["video"]["frames"], part["video"]["seconds"]
            videos.append(np.stack([pixels_of(frame) for frame in frames]))
            # Times are given as numbers of frames, at a rate of 1000 frames per second.
            indices = [round(second * 1000) for second in seconds]
            metadata.append({"fps": 1000.0, "frames_indices": indices, "total_num_frames": len(frames)})
    text = processor.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **OPTIONS)
    given: dict[str, Any] = {"images": images} if images else {}
    if videos:
        given |= {"videos": videos, "video_metadata": metadata, "do_sample_frames": False}
    return [int(token) for token in processor(text=[text], **given)["input_ids"][0]]


def golden(family: str) -> dict[str, dict[str, Any]]:
    """Return each conversation's ``tokens``, and its ``text`` for those who read the file."""
    return json.loads((GOLDEN / f"{family}.json").read_text())


def main() -> None:
    import tiny_models

    for family in FAMILIES:
        processor = tiny_models.processor(family)
        prompts = {}
        for name, messages in CONVERSATIONS.items():
            tokens = by_transformers(processor, messages)
            prompts[name] = {"text": processor.tokenizer.decode(tokens), "tokens": " ".join(map(str, tokens))}
        text = json.dumps(prompts, indent=1, ensure_ascii=False)
        (GOLDEN / f"{family}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
