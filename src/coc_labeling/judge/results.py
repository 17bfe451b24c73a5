"""The folder of a judge: rows as JSON lines, only ever added to, and what they come to."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from batch_runs.shards import WHOLE, Shard
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.rows import Rows
from driving_clips import files

EVALUATIONS, CONTROLS, FINAL, CONFIG = "evaluations", "controls", "validation.json", "run_config.json"
_LABELS = ' "labels": ['  # the line of validation.json from which on there is a label a line


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

    def read_into(self, rows: Rows) -> None:
        """Add the rows of all shards."""
        for name in (EVALUATIONS, CONTROLS):
            for file in sorted(files.list_names(self.path, ".jsonl")):
                if file == f"{name}.jsonl" or file.startswith(f"{name}.shard-"):
                    rows.read(files.join(self.path, file))

    def write_final(self, content: Mapping[str, Any], labels: Iterable[Mapping[str, Any]]) -> None:
        """Write ``validation.json``: the content and, one a line, what was judged; they need not fit into memory."""
        head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
        with files.atomic_path(files.join(self.path, FINAL)) as path, files.open_append(path) as file:
            file.write(f"{head},\n{_LABELS}")
            for number, label in enumerate(labels):
                file.write(f"{',' if number else ''}\n  {json.dumps(label, ensure_ascii=False)}")
            file.write("\n ]\n}\n")


def read_final(path: str) -> Any:
    """Return the content of ``validation.json`` without its labels: of 300,000 they are a gigabyte, and are not read.

    Raises:
        OSError, ValueError, RecursionError: it cannot be read, or is no JSON.
    """
    head: list[bytes] = []
    for line in files.lines_of(path):
        if line.rstrip() == _LABELS.encode():
            return json.loads(b"".join(head).rstrip().removesuffix(b",") + b"}")
        head.append(line)
    return json.loads(b"".join(head))  # somebody has written it anew


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


def refuse_merging(path: str) -> None:
    """Raise CocLabelingError for a judge's folder: its shards are read together and need no joining."""
    if any(name.startswith(f"{EVALUATIONS}.") for name in files.list_names(path, ".jsonl")):
        raise CocLabelingError(
            f"{path}: this is a judge's folder. Its shards are not merged: {FINAL} is made of all that lie in one "
            "folder. Where they lie in several, copy their .jsonl files into one and run coc validate once more, "
            "without --shard: it asks what is missing and writes the whole."
        )
