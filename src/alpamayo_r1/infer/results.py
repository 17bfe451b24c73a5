"""The folder of a run of inference: a line of JSON per scene, only ever added to, and how they were made."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import numpy as np

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.request import MODEL_NAME
from alpamayo_r1.scenes import Scene
from batch_runs.shards import WHOLE, Shard
from driving_clips import files
from driving_clips.geometry import Floats

SCHEMA_VERSION = 1
PREDICTIONS, SETTINGS_FILE, SUMMARY, PICTURES = "predictions", "infer.json", "run_summary", "pictures"
_DIGITS = 5  # of m and rad: a hundredth of a millimetre
_BLOCK_BYTES = 1 << 16
_Key = tuple[str, int]


@dataclass(frozen=True)
class Prediction:
    """What the model says of one scene, in ego's frame at t0.

    Attributes:
        cot: the reasoning of each sample of each set.
        meta_action: what stands between the tokens of that name, empty where the model writes none.
        stopped: whether a sample's text ended with the token after which it drives.
        xyz: (sets, samples, T, 3) m.
        yaw: (sets, samples, T) rad, left positive.
        seed: that the scene was drawn with.
    """

    cot: list[list[str]]
    meta_action: list[list[str]]
    stopped: list[list[bool]]
    xyz: Floats
    yaw: Floats
    seed: int


@dataclass(frozen=True)
class ModelInfo:
    """Whose predictions these are.

    Attributes:
        checkpoint: the folder's name.
        sampling: how they were drawn.
    """

    checkpoint: str
    sampling: Mapping[str, Any]


def row_of(scene: Scene, prediction: Prediction, model: ModelInfo, step_sec: float) -> dict[str, Any]:
    """Return the line of a scene.

    Raises:
        AlpamayoError: a trajectory that is not finite; the message names the clip and the sample.
    """
    _refuse_not_finite(scene, prediction)
    path = scene.path
    driven = len(path.future_xyz) > 0
    return {
        "schema_version": SCHEMA_VERSION,
        "clip_id": scene.clip_id,
        "t0_us": scene.t0_us,
        "model": {
            "name": MODEL_NAME,
            "checkpoint": model.checkpoint,
            "sampling": dict(model.sampling),
            "seed": prediction.seed,
        },
        "cot": prediction.cot,
        "meta_action": prediction.meta_action,
        "stopped": prediction.stopped,
        "pred_xy": _rounded(prediction.xyz[..., :2]),
        "pred_yaw": _rounded(prediction.yaw),
        "dt": step_sec,
        "history_xy": _rounded(path.history_xyz[:, :2]),
        "future_xy": _rounded(path.future_xyz[:, :2]) if driven else None,
        "future_yaw": _rounded(np.arctan2(path.future_rot[:, 1, 0], path.future_rot[:, 0, 0])) if driven else None,
        "problems": [*scene.notes, *_not_stopped(prediction), *_without_words(prediction)],
    }


def _refuse_not_finite(scene: Scene, prediction: Prediction) -> None:
    bad = np.argwhere(~(np.isfinite(prediction.xyz).all(axis=(-2, -1)) & np.isfinite(prediction.yaw).all(axis=-1)))
    if len(bad):
        of_set, sample = bad[0].tolist()
        raise AlpamayoError(
            f"{scene.clip_id}: the model's trajectory at t0_us={scene.t0_us} is not finite in set {of_set}, sample "
            f"{sample}. Try dtype float32."
        )


def _not_stopped(prediction: Prediction) -> list[str]:
    count = sum(not one for row in prediction.stopped for one in row)
    total = sum(len(row) for row in prediction.stopped)
    said = f"{count} of {total} samples wrote no <|traj_future_start|>: raise max_generation_length"
    return [said] if count else []


def _without_words(prediction: Prediction) -> list[str]:
    """Name the samples that drive without a reasoning though they ended by themselves: it was empty, or not closed."""
    ended = [
        not text.strip()
        for texts, stops in zip(prediction.cot, prediction.stopped, strict=True)
        for text, stopped in zip(texts, stops, strict=True)
        if stopped
    ]
    total = sum(len(row) for row in prediction.stopped)
    said = f"{sum(ended)} of {total} samples wrote no reasoning up to <|cot_end|> before <|traj_future_start|>"
    return [said] if any(ended) else []


def _rounded(values: Floats) -> list[Any]:
    listed: list[Any] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return listed


@dataclass(frozen=True)
class InferFolder:
    """The folder that a run, or one shard of it, writes to."""

    path: str
    shard: Shard = WHOLE

    def file(self, stem: str, ending: str) -> str:
        """Return the path of a file that a shard has for itself."""
        return files.join(self.path, f"{stem}{self.shard.suffix}.{ending}")

    def picture(self, clip_id: str, t0_us: int) -> str:
        """Return the path of a scene's picture."""
        return files.join(self.path, PICTURES, clip_id, f"{t0_us}.png")

    @contextmanager
    def opened(self) -> "Iterator[RowFile]":
        """Create the folder, lock this shard's file against a second run, and yield what adds rows.

        Raises:
            DatasetError: it cannot be written to, or another run is writing here.
        """
        files.make_dir(self.path)
        path = self.file(PREDICTIONS, "jsonl")
        with files.exclusive(files.join(self.path, f".lock{self.shard.suffix}")):
            _cut_torn_line(path)
            with closing(files.open_append(path)) as file:
                yield RowFile(file)

    def refuse_other(self, settings: Mapping[str, Any]) -> None:
        """Raise AlpamayoError, naming the differences, where the folder's predictions were made with other settings."""
        path = files.join(self.path, SETTINGS_FILE)  # one for all shards
        if not files.exists(path):
            return
        try:
            kept = _flat(json.loads(files.read_text(path))["settings"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AlpamayoError(f"{path}: expected the settings of this folder's predictions ({error!r}).") from error
        own = _flat(settings)
        different = [f"{k} was {kept.get(k)!r} and is {own.get(k)!r}" for k in own | kept if kept.get(k) != own.get(k)]
        if different:
            raise AlpamayoError(
                f"{self.path}: cannot go on here, its predictions were made otherwise: {'; '.join(different)}. "
                "Choose another --out."
            )

    def remember(self, settings: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """Keep what all predictions of the folder have in common, and what else is worth knowing of the last run."""
        content = {"schema_version": SCHEMA_VERSION, "settings": dict(settings), "run": dict(told)}
        path = files.join(self.path, SETTINGS_FILE)
        files.write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def done(self) -> set[_Key]:
        """Return clip and t0 of the scenes of all shards that are there; a line that a kill cut short is none."""
        found: set[_Key] = set()
        for name in files.list_names(self.path, ".jsonl"):
            if name == f"{PREDICTIONS}.jsonl" or name.startswith(f"{PREDICTIONS}.shard-"):
                found.update(_keys(files.join(self.path, name)))
        return found


def _cut_torn_line(path: str) -> None:
    """Take away the end of a file that a kill or a full disk left half written: its scene is done again."""
    if files.last_byte(path) in (b"", b"\n"):
        return
    with Path(path).open("r+b") as file:
        end, found = file.seek(0, SEEK_END), -1
        while end and found < 0:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            end = start
        file.truncate(end + found + 1)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _keys(path: str) -> Iterator[_Key]:
    for line in files.lines_of(path):
        try:
            row = json.loads(line)
            yield str(row["clip_id"]), int(row["t0_us"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


class RowFile:
    """Adds rows, each with the operating system before the next."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row; raises OSError where it cannot be written."""
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")
        self._file.flush()
