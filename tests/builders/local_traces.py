"""Traces that models wrote, from the folder that COC_EXTRA_DATA names; none of them is in the repository."""

import json
from pathlib import Path


def traces(folder: Path) -> list[str]:
    """Return the traces, in the order of their file."""
    lines = (folder / "coc_text" / "alpamayo_streaming_100clips.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["cot"] for line in lines]
