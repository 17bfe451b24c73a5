"""Checkpoints without weights worth the name, in the layout of Hugging Face caches."""

import json
from pathlib import Path
from typing import Any

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_checkpoint(folder: Path, model_type: str = "qwen3_5_moe", shards=SHARDS, **config: Any) -> Path:
    """Write what a complete checkpoint of a family has, each shard a few bytes."""
    folder.mkdir(parents=True)
    text = {"num_attention_heads": 16, "max_position_embeddings": 262144}
    content = {"model_type": model_type, "text_config": text, **config}
    (folder / "config.json").write_text(json.dumps(content))
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    for name in shards:
        (folder / name).write_bytes(b"x" * 100)
    if len(shards) > 1:
        index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(shards)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_snapshot(cache: Path, cache_folder: str, revision: str, *, main: bool = False, **checkpoint: Any) -> Path:
    """Write a snapshot into a Hugging Face cache; ``main`` makes it the branch's newest."""
    model = cache / cache_folder
    if main:
        (model / "refs").mkdir(parents=True, exist_ok=True)
        (model / "refs" / "main").write_text(revision)
    return write_checkpoint(model / "snapshots" / revision, **checkpoint)
