"""A timeline of spans, the one form of meta-actions, and its texts."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from meta_action.errors import MetaActionError
from meta_action.names import BY_FILE_NAME, BY_NAME, RANK

AGENT = "<ego>"
MAX_TICK = 32_767  # ticks are kept as int16
_LINES = re.compile(r"^[ \t]*(\w+) - Agent:[^,\n]*, Start:(\d+), End:(\d+)[ \t\r]*$", re.MULTILINE)
_AXIS_AND_NAME = {file_name: (action.axis, action.name) for file_name, action in BY_FILE_NAME.items()}


class Span(NamedTuple):
    """One meta-action over ticks [start, end); a tick is 0.1 s."""

    axis: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Timeline:
    """The meta-actions of one clip, in the order of the text file: by start, then file name, grouped by name."""

    clip_id: str
    spans: tuple[Span, ...]

    def at(self, tick: int) -> dict[str, str]:
        """Return the name on each axis that says something at a tick, by axis."""
        return {span.axis: span.name for span in self.spans if span.start <= tick < span.end}

    def starting_at(self, tick: int) -> list[Span]:
        """Return the spans that start at a tick."""
        return [span for span in self.spans if span.start == tick]


def timeline(clip_id: str, spans: Iterable[Span]) -> Timeline:
    """Return a timeline with its spans in the order of the text file."""
    ordered = sorted(spans, key=lambda span: (span.start, BY_NAME[span.name].file_name))
    first: dict[str, int] = {}
    for span in ordered:
        first.setdefault(span.name, len(first))
    return Timeline(clip_id, tuple(sorted(ordered, key=lambda span: first[span.name])))


def to_text(labelled: Timeline) -> str:
    """Return the content of ``final_outputs/<clip_id>.txt``; empty for a timeline without spans."""
    return "".join(
        f"  {BY_NAME[name].file_name} - Agent:{AGENT}, Start:{start}, End:{end}\n"
        for _, name, start, end in labelled.spans
    )


def to_raw_json(labelled: Timeline) -> str:
    """Return the content of ``tmp/raw_results/<clip_id>.json``: by the names' own order, then by time."""
    spans = sorted(labelled.spans, key=lambda span: (RANK[span.name], span.start))
    return json.dumps([f"{BY_NAME[name].file_name}Temporal(ego at {start}-{end})" for _, name, start, end in spans])


def from_text(clip_id: str, text: str, origin: str = "") -> Timeline:
    """Read a text file back, old aliases of names included; blank lines are skipped.

    Raises:
        MetaActionError: a line that is no span; the message gives its number.
    """
    return Timeline(clip_id, tuple(_read_lines(text, origin or clip_id)))


def line_parts(text: str) -> list[tuple[str, str, str]] | None:
    """Return (file name of the meta-action, start, end) of each line as text; None where not every line is a span.

    The quick way for many files; ``from_text`` says what is wrong with a text.
    """
    parts = _LINES.findall(text)
    lines = text.count("\n") + (not text.endswith("\n"))
    return parts if len(parts) == lines else None


def _read_lines(text: str, origin: str) -> Iterator[Span]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINES.fullmatch(line)
        known = _AXIS_AND_NAME.get(match[1]) if match else None
        if match is None or known is None or not int(match[2]) < int(match[3]) <= MAX_TICK:
            raise MetaActionError(
                f"{origin}, line {number}: expected '  <Name> - Agent:<ego>, Start:<tick>, End:<tick>' "
                f"with a known name and Start < End <= {MAX_TICK}, found {line[:80]!r}."
            )
        yield Span(*known, int(match[2]), int(match[3]))
