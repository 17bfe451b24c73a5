"""Runs of Step 3 on small table datasets: the inputs of Steps 1 and 2, configurations, and what was written."""

import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from builders.commands import autolabel
from builders.driving import lively_drive
from builders.pai import obstacle_columns, parquet
from builders.table import write_csv
from coc_labeling.config.loading import load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.data_labeling import main
from coc_labeling.keyframe_auto_select import main as select_keyframes
from coc_labeling.results import LABELS, load_labels


def write_dataset(folder: Path, clips: int = 4) -> Path:
    """Write recordings ``clip_0`` ... of 20 s; a car drives ahead of the first."""
    for number in range(clips):
        d = lively_drive(number)
        write_csv(folder, f"clip_{number}", d)
        if number == 0:
            columns = obstacle_columns(d.t_us, [(12.0, 0.0, 0.8)] * len(d), [0.0] * len(d), track="41")
            (folder / "clip_0.obstacles.parquet").write_bytes(parquet(columns))
    return folder


def prepare(root: Path, clips: int = 4) -> "Inputs":
    """Write a dataset and run Steps 1 and 2 on it."""
    inputs = Inputs(root)
    write_dataset(inputs.data_dir, clips)
    assert autolabel(inputs.data_dir, root / "meta_actions") == 0
    arguments = ["--meta_action_dir", inputs.meta_action_dir, "--output_dir", root / "keyframes"]
    assert select_keyframes([str(argument) for argument in arguments]) == 0
    return inputs


class Inputs:
    """Where the inputs of Step 3 lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data_dir = root / "data"
        self.meta_action_dir = root / "meta_actions" / "final_outputs"
        self.keyframes = root / "keyframes" / "segments_relative_timestamp_sampled.json"

    def overrides(self, out: Path, **settings) -> list[str]:
        """Return what is typed after ``python -m coc_labeling.data_labeling``; ``__`` stands for a dot."""
        return [f"{key}={value}" for key, value in self._settings(out, settings).items()]

    def config(self, out: Path, **settings) -> RunConfig:
        """Return the same as a configuration, without Hydra's time."""
        return config(**{key.replace(".", "__"): value for key, value in self._settings(out, settings).items()})

    def label(self, out: Path, **settings) -> int:
        """Run the command; returns the exit code."""
        return main(self.overrides(out, **settings))

    def _settings(self, out: Path, settings: dict) -> dict:
        default = {
            "model_name": "rules",
            "output_root": str(out),
            "num_workers": 1,
            "data.dataset_name": "table",
            "data.data_dir": str(self.data_dir),
            "data.meta_action_dir": str(self.meta_action_dir),
            "data.segment_config_path": str(self.keyframes),
        }
        return default | {key.replace("__", "."): value for key, value in settings.items()}


@cache
def _preset() -> str:
    return load_config("base_config_vlm_rel_ts", []).model_dump_json()


def config(**settings) -> RunConfig:
    """Return the default configuration with some keys changed; ``__`` stands for a dot."""
    content = json.loads(_preset())
    for key, value in settings.items():
        *path, last = key.split("__")
        section = content
        for name in path:
            section = section[name]
        assert last in section, key
        section[last] = value
    return RunConfig.model_validate(content)


def write_keyframes(path: Path, moments: dict[str, list[tuple[str, int]]]) -> Path:
    """Write a keyframe JSON from (clip id, frame) by meta-action."""
    entries = {
        action: [{"meta_action": action, "clip_id": clip_id, "event_start_frame": frame} for clip_id, frame in own]
        for action, own in moments.items()
    }
    path.write_text(json.dumps(entries))
    return path


def write_segments(path: Path, clip_ids, t_us, columns=("clip_id", "keyframe_range_start_timestamp")) -> Path:
    """Write a segment list as parquet."""
    pq.write_table(pa.table({columns[0]: clip_ids, columns[1]: t_us}), path)
    return path


def records_in(folder: Path) -> dict[str, bytes]:
    """Return the record files below a folder, by ``<clip>/<name>``."""
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(folder.rglob("cot_*.yaml"))}


def only_run(out: Path) -> Path:
    """Return the one experiment folder below ``out``."""
    (folder,) = (path for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    return folder


def rows_of(run: Path) -> list[dict]:
    """Return the rows of ``labels.parquet`` as far as they do not depend on when a file was written."""
    return load_labels(str(run)).drop_columns(["file_mtime_ns"]).to_pylist()


def table_of(run: Path) -> pa.Table:
    """Return ``labels.parquet``."""
    return pq.read_table(run / LABELS)


def read_record(path: Path) -> dict:
    """Return what is below ``results``."""
    return yaml.safe_load(path.read_text())["results"]
