"""What is to be learnt at which moments, read from labels.

Labels are what people, models and other programs wrote: a row that cannot be used is named, counted and left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.label_files import REASONING_FILE, Row, RowPlace, Unusable, rows_of
from coc_labeling.export.drives import Drives
from driving_clips.datasets.base import is_legal_id

MOST_CHARS = 4000  # of a text; a reasoning of the model's 256 tokens has some 1,200
_MOST_US = 2**53  # what every reader of JSON keeps whole
# What a tokenizer would take for more than text: the model's own tokens, and those that Qwen3's has besides.
_TOKENS_IN_TEXT = re.compile(r"<\||\|>|<i[0-9]|</?(?:think|tool_call|tool_response)>")
_FIRST_SAID = 3


@dataclass(frozen=True)
class TrainingExample:
    """A moment, and what is to be said of it.

    Attributes:
        clip_id: the clip.
        t0_us: the moment, us on the clip clock.
        cot: the reasoning.
        meta_action: the meta-actions that start there in words, or None.
        split: what the export says it is for, or None.
        drive: what must not be torn between training and validation: the drive, or the clip where that is unknown.
    """

    clip_id: str
    t0_us: int
    cot: str
    meta_action: str | None
    split: str | None
    drive: str


@dataclass(frozen=True)
class LabelReading:
    """What was read.

    Attributes:
        examples: sorted by clip and moment, each moment once.
        left_out: how many labels cannot be used, by reason.
        problems: a message for each of them, which names it.
        places: of an ``sft-chat`` export, where the row of each (clip_id, t0_us) stands, for its pictures and poses.
    """

    examples: tuple[TrainingExample, ...]
    left_out: Counter[str]
    problems: tuple[str, ...]
    places: Mapping[tuple[str, int], RowPlace] = field(default_factory=dict)


def read_labels(path: str, dataset: str | None = None) -> LabelReading:
    """Read labels: a reasoning parquet or the folder that holds one, an export (``jsonl``, ``sft-chat``), or a run.

    Args:
        path: the file or folder.
        dataset: the name of the dataset, which may tell the drives of clips where the labels do not.

    Raises:
        AlpamayoError: nothing there that could be read; the message says what was left out and why.
        CocLabelingError: a damaged run or export.

    Example:
        >>> read_labels("/data/pai").examples[0].cot  # doctest: +SKIP
        'Stop for the red light ahead.'
    """
    return _collected(path, rows_of(path), dataset)


def _collected(path: str, rows: Iterable[Row | Unusable], dataset: str | None) -> LabelReading:
    drives = Drives(dataset) if dataset is not None else None
    examples: dict[tuple[str, int], TrainingExample] = {}
    places: dict[tuple[str, int], RowPlace] = {}
    left_out: Counter[str] = Counter()
    problems: list[str] = []
    for row in rows:
        found = row if isinstance(row, Unusable) else _example(row, drives)
        if isinstance(found, TrainingExample) and (found.clip_id, found.t0_us) in examples:
            found = Unusable("twice", f"{found.clip_id}/{found.t0_us}: labelled before; the first label is taken.")
        if isinstance(found, Unusable):
            left_out[found.reason] += 1
            problems.append(found.message)
            continue
        examples[found.clip_id, found.t0_us] = found
        if isinstance(row, Row) and row.place is not None:
            places[found.clip_id, found.t0_us] = row.place
    if not examples:
        raise AlpamayoError(_nothing(path, left_out, problems))
    return LabelReading(tuple(examples[key] for key in sorted(examples)), left_out, tuple(problems), places)


def _example(row: Row, drives: Drives | None) -> TrainingExample | Unusable:
    if not isinstance(row.clip_id, str) or not is_legal_id(row.clip_id):
        return Unusable("no clip id", f"{row.where}: expected a clip id, found {str(row.clip_id)[:80]!r}.")
    t0_us = _whole_us(row.t0_us)
    if t0_us is None:
        said = f"expected event_start_timestamp in us on the clip clock, found {str(row.t0_us)[:80]!r}"
        return Unusable("no time", f"{row.clip_id}: {row.where}: {said}.")
    item = f"{row.clip_id}/{t0_us}"
    cot, meta_action = _stripped(row.cot), _stripped(row.meta_action)
    if not cot:
        return Unusable("no text", f"{item}: expected a text in cot, found {str(row.cot)[:80]!r}.")
    if why := next(filter(None, map(_reason_against, (cot, meta_action))), None):
        return Unusable(why, f"{item}: {why}: {_shown(cot)}")
    drive = row.drive or (drives.drive_of(row.clip_id) if drives else None) or row.clip_id
    return TrainingExample(row.clip_id, t0_us, cot, meta_action or None, row.split, drive)


def _whole_us(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _MOST_US and int(value) == value else None


def _stripped(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _reason_against(text: str) -> str | None:
    if len(text) > MOST_CHARS:
        return f"text over {MOST_CHARS} characters"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "text that is no Unicode"
    return "text with a token of a model" if _TOKENS_IN_TEXT.search(text) else None


def _shown(text: str) -> str:
    return text[:80].encode(errors="backslashreplace").decode()


def _nothing(path: str, left_out: Counter[str], problems: list[str]) -> str:
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common()) or "it is empty"
    first = " ".join(problems[:_FIRST_SAID])
    return (
        f"{path}: no label to learn from ({why}). Expected {REASONING_FILE} with events of event_start_timestamp and "
        f"cot, an export of coc export, or a run with labels. {first}".rstrip()
    )
