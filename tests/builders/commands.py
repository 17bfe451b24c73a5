"""Running the commands in this process, and looking at what they wrote."""

import json
from pathlib import Path

from meta_action.data_labeling import main


def autolabel(data_dir, save_dir, *options, dataset: str = "table", names=("all_ego",), workers: int = 1) -> int:
    """Run ``meta-action-autolabel``; returns the exit code."""
    arguments = ["--dataset_name", dataset, "--data_dir", data_dir, "--save_dir", save_dir]
    arguments += ["--num_workers", workers, "--meta_action_names", *names, *options]
    return main([str(argument) for argument in arguments])


def summary(save_dir, suffix: str = "") -> dict:
    """Return ``run_summary.json``."""
    return json.loads((Path(save_dir) / f"run_summary{suffix}.json").read_text())


def contents(folder) -> dict[str, bytes]:
    """Return every file below a folder by its relative path."""
    root = Path(folder)
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def labels(save_dir) -> dict[str, bytes]:
    """Return what must not depend on how a run went: texts, raw results and the two tables."""
    return {
        name: content
        for name, content in contents(save_dir).items()
        if name.startswith(("final_outputs/", "tmp/raw_results/")) or name == "meta_actions.parquet"
    }


def leftovers(folder) -> list[str]:
    """Return temporary files and journal parts that a run should not leave."""
    return [name for name in contents(folder) if name.endswith((".tmp", ".arrows"))]
