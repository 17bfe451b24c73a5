"""A timeline of spans, the one form of meta-actions, and its texts."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from meta_action.errors import MetaActionError
from meta_action.names import BY_FILE_NAME, BY_NAME, RANK

AGENT = "<ego>"
MAX_TICK = 32_767  # ticks are kept as int16
_LINE = re.compile(r"^\s*(?P<name>\w+) - Agent:(?P<agent>[^,]*), Start:(?P<start>\d+), End:(?P<end>\d+)\s*$")


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
    spans = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        action = BY_FILE_NAME.get(match["name"]) if match else None
        if match is None or action is None or not int(match["start"]) < int(match["end"]) <= MAX_TICK:
            raise MetaActionError(
                f"{origin or clip_id}, line {number}: expected '  <Name> - Agent:<ego>, Start:<tick>, End:<tick>' "
                f"with a known name and Start < End <= {MAX_TICK}, found {line[:80]!r}."
            )
        spans.append(Span(action.axis, action.name, int(match["start"]), int(match["end"])))
    return Timeline(clip_id, tuple(spans))
