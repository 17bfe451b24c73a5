"""The rows of a judge as they are read back: numbers in memory, texts in their files."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.questions import Due
from coc_labeling.judge.stages import Stage, is_evaluation
from coc_labeling.schema import Usage
from driving_clips import files


class Kind(IntEnum):
    """What is known of a question."""

    UNKNOWN = 0
    EVALUATED = 1
    SKIPPED = 2
    ERROR = 3


# A question's row: where its line begins, its scores (NaN for none), and numbers of ``Rows.words``. 56 bytes; a row as
# Python holds it takes some kilobytes. ``stale``: there is a row about the label as it was.
CELL = np.dtype(
    [
        ("kind", np.uint8),
        ("stale", np.bool_),
        ("file", np.uint16),
        ("place", np.int64),
        ("decision", np.int32),
        ("skipped", np.int32),
        ("model_id", np.int32),
        ("scores", np.float64, (max(len(stage.scores) for stage in Stage),)),
    ]
)
Cells = NDArray[np.void]


@dataclass
class Rows:
    """The rows that fit how a judge is asked today and what the labels are today; of each question the last one.

    Attributes:
        question_hashes: of how each stage is asked.
        numbers: of the labels, by clip and keyframe.
        label_hash: that of a label as it is, by number; empty where it cannot be read, which no row fits.
        cells: (labels, stages) by telling.
        words: texts that many rows share.
        paths: the files, by number.
        usage: tokens that all rows cost, also those that do not count, by file.
        torn: lines that are no rows: what a killed run left half written.
        gone: rows about labels that are gone.
    """

    question_hashes: Mapping[Stage, str]
    numbers: Mapping[tuple[str, int], int]
    label_hash: Callable[[int], str]
    cells: dict[Telling, Cells] = field(default_factory=dict)
    words: list[str] = field(default_factory=lambda: [""])
    paths: list[str] = field(default_factory=list)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    torn: int = 0
    gone: int = 0
    _number_of_word: dict[str, int] = field(default_factory=lambda: {"": 0})

    def read(self, path: str) -> None:
        """Add the rows of a file."""
        place, file = 0, len(self.paths)
        self.paths.append(path)
        spent = self.usage.setdefault(path, dict.fromkeys(Usage.model_fields, 0))
        for line in files.lines_of(path):
            row = _row(line)
            if row is not None:
                self._add(row, file, place)
                _add_usage(spent, row.get("usage"))
            self.torn += row is None and bool(line.strip())
            place += len(line)

    def _add(self, row: Mapping[str, Any], file: int, place: int) -> None:
        stage = Stage(row["stage"])
        if row["question_hash"] != self.question_hashes[stage]:
            return
        number = self.numbers.get((row["clip_id"], row["event_timestamp"]))
        if number is None:
            self.gone += 1
            return
        cells, at = self._of(Telling(row["telling"])), (number, stage - 1)
        if row["label_hash"] != (self.label_hash(number) or None):
            cells["stale"][at] = True
            return
        evaluation = row["evaluation"]
        kind = Kind.EVALUATED if evaluation else Kind.SKIPPED if row["error"] is None else Kind.ERROR
        words = (row.get("longitudinal"), row["skipped"], row.get("evaluator_model_id"))
        scores = [evaluation.get(name) if evaluation else None for name in stage.scores]
        scores += [None] * (CELL["scores"].shape[0] - len(scores))
        numbers = (np.nan if score is None else score for score in scores)
        cells[at] = (kind, cells["stale"][at], file, place, *map(self._word, words), tuple(numbers))

    def _of(self, telling: Telling) -> Cells:
        """Return the cells of a telling; the system gives them memory as they are filled."""
        if telling not in self.cells:
            self.cells[telling] = np.zeros((max(self.numbers.values()) + 1, len(Stage)), CELL)
        return self.cells[telling]

    def _word(self, text: object) -> int:
        if not isinstance(text, str):
            return 0
        number = self._number_of_word.setdefault(text, len(self.words))
        if number == len(self.words):
            self.words.append(text)
        return number

    def table(self, telling: Telling) -> Cells:
        """Return the cells of a telling: (labels, stages) of ``CELL``, (0, stages) where it has no row."""
        return self.cells.get(telling, np.zeros((0, len(Stage)), CELL))

    def kind(self, number: int, due: Due) -> Kind:
        """Return what is known of a question about a label; one with an error is asked again."""
        cells = self.cells.get(due.telling)
        return Kind.UNKNOWN if cells is None else Kind(cells[number, due.stage - 1]["kind"])

    def skipped(self, number: int, due: Due) -> str:
        """Return why there was nothing to judge."""
        word: int = self.cells[due.telling]["skipped"][number, due.stage - 1]
        return self.words[word]

    @property
    def outdated(self) -> int:
        """How many questions have only rows about a label that has changed since, or is gone."""
        changed = (np.sum(cells["stale"] & (cells["kind"] == Kind.UNKNOWN)) for cells in self.cells.values())
        return int(sum(changed)) + self.gone

    @property
    def model_ids(self) -> list[str]:
        """The provider's names of the model that judged."""
        found = {number for cells in self.cells.values() for number in np.unique(cells["model_id"])}
        return sorted(self.words[number] for number in found if number)

    def spent(self, *paths: str) -> Usage:
        """Return what the rows of some files cost; of all files where none is named."""
        chosen = [self.usage[path] for path in paths or self.usage if path in self.usage]
        return Usage(**{name: sum(one[name] for one in chosen) for name in Usage.model_fields})

    def labels(self) -> Iterator[list[tuple[Stage, dict[str, Any]]]]:
        """Yield the rows of each label as it is, by stage; they are read from the files again.

        Raises:
            CocLabelingError: a file has changed meanwhile.
        """
        cells = self.table(Telling.LABEL)
        with ExitStack() as stack:
            opened = [stack.enter_context(Path(path).open("rb")) for path in self.paths]
            for number in np.flatnonzero(np.any(cells["kind"] != Kind.UNKNOWN, axis=1)):
                found = []
                for stage in Stage:
                    cell = cells[number, stage - 1]
                    if cell["kind"] != Kind.UNKNOWN:
                        opened[cell["file"]].seek(cell["place"])
                        found.append((stage, self._again(opened[cell["file"]].readline(), cell)))
                yield found

    def _again(self, line: bytes, cell: np.void) -> dict[str, Any]:
        row = _row(line)
        if row is None:
            raise CocLabelingError(
                f"{self.paths[cell['file']]}: changed while it was read. Run the command again once nothing else "
                "writes there."
            )
        return row


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
    return None if all(row[name] is None for name in ("error", "skipped", "evaluation")) else row


def _add_usage(spent: dict[str, int], used: object) -> None:
    if isinstance(used, dict):
        for name in spent:
            if isinstance(used.get(name), int):
                spent[name] += used[name]
