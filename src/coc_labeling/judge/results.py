"""The folder of a judge: rows as JSON lines, only ever added to, and what they come to."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from batch_runs.shards import WHOLE, Shard
from coc_labeling.budget import add
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.stages import Stage, is_evaluation
from coc_labeling.schema import Usage
from driving_clips import files

log = logging.getLogger(__name__)

EVALUATIONS, CONTROLS, FINAL, CONFIG = "evaluations", "controls", "validation.json", "run_config.json"
_HEAVY = ("model_response_raw",)  # read from a file and not kept in memory


class Key(NamedTuple):
    """What a row is about."""

    clip_id: str
    t_us: int
    stage: Stage
    telling: Telling


@dataclass(frozen=True)
class JudgeFolder:
    """The folder of one judge's rows, or one shard's view of it.

    ``evaluations.jsonl`` has a row per label and stage, ``controls.jsonl`` the same of labels with a planted error and
    of their twins. A shard's files carry its number; reading takes all of them.
    """

    path: str
    shard: Shard = WHOLE

    def file(self, name: str) -> str:
        """Return the path of a file that a shard has for itself."""
        stem, ending = name.rsplit(".", 1)
        return files.join(self.path, f"{stem}{self.shard.suffix}.{ending}")

    @contextmanager
    def opened(self) -> "Iterator[RowWriter]":
        """Create the folder, lock this shard's files against a second run, and yield what adds rows.

        Raises:
            DatasetError: it cannot be written to, or another run is writing here.
        """
        files.make_dir(self.path)
        with files.exclusive(files.join(self.path, f".lock{self.shard.suffix}")):
            writer = RowWriter(*(open_rows(self.file(f"{name}.jsonl")) for name in (EVALUATIONS, CONTROLS)))
            try:
                yield writer
            finally:
                writer.close()

    def rows(self) -> "Rows":
        """Return the last row of each question, of all shards."""
        found = Rows()
        for name in (EVALUATIONS, CONTROLS):
            for file in sorted(files.list_names(self.path, ".jsonl")):
                if file == f"{name}.jsonl" or file.startswith(f"{name}.shard-"):
                    found.read(files.join(self.path, file))
        return found


@dataclass
class Rows:
    """Rows as they were read back, without the models' raw answers.

    Attributes:
        latest: by what they are about and the hash of how it was asked; later ones replace earlier ones.
        usage: tokens that all rows cost, also those that were replaced, by file.
        torn: lines that are no rows: what a killed run left half written.
    """

    latest: dict[tuple[Key, str], dict[str, Any]] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    torn: int = 0

    def read(self, path: str) -> None:
        """Add the rows of a file."""
        for line in files.lines_of(path):
            row = _row(line)
            if row is None:
                self.torn += bool(line.strip())
                continue
            key = Key(row["clip_id"], row["event_timestamp"], Stage(row["stage"]), Telling(row["telling"]))
            self.latest[key, row["question_hash"]] = row
            self.usage[path] = add(self.usage.get(path, Usage()), _usage(row))

    def spent(self, *paths: str) -> Usage:
        """Return what the rows of some files cost."""
        total = Usage()
        for path in paths:
            total = add(total, self.usage.get(path, Usage()))
        return total

    def finished(self, key: Key, question_hash: str, label_hash: str) -> dict[str, Any] | None:
        """Return the row that answers a question about this very label; one with an error answers nothing."""
        row = self.latest.get((key, question_hash))
        return row if row is not None and row["label_hash"] == label_hash and row["error"] is None else None


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a line as a row, or None where it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("event_timestamp"), int):
        return None
    texts = ("clip_id", "question_hash", "label_hash")
    if not all(isinstance(row.get(name), str) for name in texts) or row.get("stage") not in [*map(int, Stage)]:
        return None
    if row.get("telling") not in [*map(str, Telling)]:
        return None
    if not all(row.get(name) is None or isinstance(row[name], str) for name in ("error", "skipped", "planted")):
        return None
    evaluation = row.get("evaluation")
    if evaluation is not None and not is_evaluation(evaluation, Stage(row["stage"])):
        return None
    row = {"error": None, "skipped": None, "planted": None, "evaluation": None, **row}
    if all(row[name] is None for name in ("error", "skipped", "evaluation")):
        return None
    return {name: value for name, value in row.items() if name not in _HEAVY}


def _usage(row: Mapping[str, Any]) -> Usage:
    used = row.get("usage")
    used = used if isinstance(used, dict) else {}
    return Usage(**{name: used[name] for name in Usage.model_fields if isinstance(used.get(name), int)})


def open_rows(path: str) -> IO[str]:
    """Open a file of rows to add to; a line that a killed run left half written is ended and spoils no other."""
    torn = files.last_byte(path) not in (b"", b"\n")
    opened = files.open_append(path)
    if torn:
        opened.write("\n")
        opened.flush()
    return opened


class RowWriter:
    """Adds rows, each on disk before the next; any thread may."""

    def __init__(self, evaluations: IO[str], controls: IO[str]) -> None:
        self._evaluations, self._controls = evaluations, controls
        self._lock = threading.Lock()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row to the file of its telling; raises OSError where it cannot be written."""
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        with self._lock:
            file = self._evaluations if row["telling"] == Telling.LABEL else self._controls
            file.write(line + "\n")
            file.flush()

    def close(self) -> None:
        """Close the files."""
        for file in (self._evaluations, self._controls):
            file.close()


def remember_config(folder: JudgeFolder, config: Mapping[str, Any]) -> None:
    """Keep how this judge was last asked."""
    files.write_atomic(files.join(folder.path, CONFIG), json.dumps(config, indent=2) + "\n")


def refuse_experiment(path: str) -> None:
    """Raise CocLabelingError for a folder that holds records: a judge's files do not belong among them."""
    if any(name.startswith("labels.") for name in files.list_names(path, ".parquet")):
        raise CocLabelingError(f"--out {path}: this is an experiment. Choose a folder of the judge's own.")
