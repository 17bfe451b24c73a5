"""Flat files, one a split: JSON lines, and CSV for spreadsheets."""

import csv
import json
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import IO, Any, ClassVar

import pyarrow as pa

from coc_labeling.export.base import Exporter
from coc_labeling.export.columns import OF_LABELS, PROVENANCE, Column
from coc_labeling.export.content import Content
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow, as_dict
from driving_clips import files

# They end a line for many readers, and stand unescaped in JSON.
LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
# What a spreadsheet takes for a formula, https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")

CSV_COLUMNS = (
    "clip_id",
    "event_start_timestamp",
    "event_start_frame",
    "split",
    "drive",
    "cot",
    "longitudinal",
    "longitudinal_causes",
    "lateral",
    "direction",
    "lateral_causes",
    "components",
    "risk",
    "check_status",
    "schema_version",
    "dataset",
    "run",
    "origin",
    "agent",
    "model",
    "prompt_version",
    "prompt_hash",
    "repair",
    "told_facts",
    "reviewers",
    "export_version",
)


class _BySplit(Exporter):
    """Writes ``data/<split>.<ending>``; a split without labels has no file."""

    ending: ClassVar[str]

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._files: dict[str, IO[str]] = {}
        self._writers: dict[str, Callable[[ExportRow], Any]] = {}

    @abstractmethod
    def writer_to(self, file: IO[str]) -> Callable[[ExportRow], Any]:
        """Return what writes a label into a new file."""

    def add(self, row: ExportRow) -> None:
        """Add a label to the file of its split."""
        if row.split not in self._writers:
            file = files.open_append(self.folder.create(self._name(row.split)))
            self._files[row.split], self._writers[row.split] = file, self.writer_to(file)
        self._writers[row.split](row)

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def data_files(self) -> dict[str, str]:
        """Return the file of each split."""
        return {split: self._name(split) for split in self._files}

    def _name(self, split: str) -> str:
        return f"data/{split}.{self.ending}"


class JsonLines(_BySplit):
    """A JSON object a line, with the whole label and its provenance; every object has the same keys."""

    name = ending = "jsonl"

    def columns(self) -> Sequence[Column]:
        """Return the columns of every label."""
        return OF_LABELS

    def writer_to(self, file: IO[str]) -> Callable[[ExportRow], Any]:
        """Return what writes a line."""
        return lambda row: file.write(f"{json.dumps(as_dict(row), ensure_ascii=False).translate(LINE_ENDS)}\n")


class Csv(_BySplit):
    """A row a label, lists joined by ``; ``; what a spreadsheet would run as a formula begins with an apostrophe."""

    name = ending = "csv"

    def columns(self) -> Sequence[Column]:
        """Return the columns; those that are lists elsewhere are texts here."""
        known = dict(OF_LABELS) | {field.name: field.type for field in PROVENANCE}
        kinds = [(name, known.get(name, pa.string())) for name in CSV_COLUMNS]
        return [(name, pa.string() if pa.types.is_nested(kind) else kind) for name, kind in kinds]

    def writer_to(self, file: IO[str]) -> Callable[[ExportRow], Any]:
        """Write the header; return what writes a row."""
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        return lambda row: writer.writerow(_cells(row))


def _cells(row: ExportRow) -> list[Any]:
    told = {**row.provenance, "components": [component["description"] for component in row.label["components"]]}
    return [_cell(told[name] if name in told else getattr(row, name)) for name in CSV_COLUMNS]


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
