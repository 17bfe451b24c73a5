"""``LLM.chat`` with all requests in one list, as fast as vLLM gets: ``python -m benchmarks.llm_chat CHECKPOINT FILE``.

FILE holds a body of ``QwenWrapper.request`` a line, each with one video of the same times. Prints the seconds that the
call took, and the tokens that came back, as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from coc_labeling.model_clients.local.engine import sampling_of
from coc_labeling.model_clients.local.model import DEFAULT_CPU_CACHE_BYTES, SEED, SEQS_ON_CPU


def main(checkpoint: str, path: str) -> None:
    """Load the model, ask, print."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    from vllm import LLM

    bodies = [json.loads(line) for line in Path(path).read_text().splitlines()]
    seconds = next(p for m in bodies[0]["messages"] for p in m["content"] if p["type"] == "video")["video"]["seconds"]
    times = {"num_frames": -1, "fps": 1000.0, "frames_indices": [round(1000 * s) for s in seconds]}
    llm = LLM(
        checkpoint,
        seed=SEED,
        max_num_seqs=SEQS_ON_CPU,
        limit_mm_per_prompt={"image": 16, "video": 2},
        enable_prefix_caching=True,
        enforce_eager=True,
        kv_cache_memory_bytes=DEFAULT_CPU_CACHE_BYTES,
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
        media_io_kwargs={"video": times},
    )
    said = [[_message(message) for message in body["messages"]] for body in bodies]
    started = time.perf_counter()
    answers = llm.chat(said, [sampling_of(body) for body in bodies], use_tqdm=False)
    took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "tokens": sum(len(answer.outputs[0].token_ids) for answer in answers)}))


def _message(message: dict[str, Any]) -> dict[str, Any]:
    return message | {"content": [_part(part) for part in message["content"]]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] != "video":
        return part
    frames = (frame.partition(",")[2] for frame in part["video"]["frames"])
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(frames)}"}}


if __name__ == "__main__":
    main(*sys.argv[1:])
