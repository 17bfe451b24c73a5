"""What became of each clip or window of a run, its counts, and the exit code that tells."""

import json
import platform
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from driving_clips import files

DONE, REJECTED, FAILED = "done", "rejected", "failed"
ALREADY_DONE = "already_done"
EXIT_FAILED, EXIT_NOTHING, EXIT_INTERRUPTED = 1, 2, 130
MAX_IDS_IN_SUMMARY = 1000


@dataclass
class Tally:
    """Counts of a run by outcome and reason, with the ids and messages behind them.

    Attributes:
        started: when the run began, seconds since the epoch.
        by_reason: message by item, by reason, by outcome.
        summary: the file that ``write_summary`` has written of it, empty before.
    """

    started: float = field(default_factory=time.time)
    by_reason: dict[str, dict[str, dict[str, str]]] = field(
        default_factory=lambda: {DONE: {}, REJECTED: {}, FAILED: {}}
    )
    summary: str = ""

    def add(self, outcome: str, reason: str, item: str, message: str = "") -> None:
        """Count one clip, window or file."""
        self.by_reason[outcome].setdefault(reason, {})[_printable(item)] = _printable(message)

    def replace(self, outcome: str, reason: str, item: str, message: str = "") -> None:
        """Count an item, instead of as what it was counted before."""
        for reasons in self.by_reason.values():
            for items in reasons.values():
                items.pop(_printable(item), None)
        self.add(outcome, reason, item, message)

    def count(self, outcome: str) -> int:
        """Return how many items had an outcome."""
        return sum(len(items) for items in self.by_reason[outcome].values())

    @property
    def fresh(self) -> int:
        """How many items this run has done itself, without those it found done."""
        return self.count(DONE) - len(self.by_reason[DONE].get(ALREADY_DONE, {}))

    def exit_code(self, *, strict: bool) -> int:
        """0 when nothing failed; 1 when something did; 2 when all did. ``strict`` counts rejected as failed."""
        if self.count(FAILED) and not self.count(DONE) and not self.count(REJECTED):
            return EXIT_NOTHING
        return EXIT_FAILED if self.count(FAILED) or (strict and self.count(REJECTED)) else 0

    def lines(self, unit: str, limit: int = 3) -> list[str]:
        """Return the counts as text for a terminal, with the first few problems of each kind."""
        seconds = max(time.time() - self.started, 1e-9)
        text = [
            f"{self.count(DONE)} {unit} done ({self.fresh} now, {self.fresh / seconds:.0f}/s), "
            f"{self.count(REJECTED)} rejected, {self.count(FAILED)} failed in {seconds:.1f} s"
        ]
        for outcome in (REJECTED, FAILED):
            for reason, items in sorted(self.by_reason[outcome].items()):
                text.append(f"  {outcome}: {reason} ({len(items)})")
                text += [f"    {_said(item, message)}" for item, message in list(items.items())[:limit]]
                if len(items) > limit:
                    where = f", all in {self.summary}" if self.summary else ""
                    text.append(f"    ... and {len(items) - limit} more{where}")
        return text


def write_summary(
    path: str, command: str, config: Mapping[str, Any], tally: Tally, *, unit: str, **extra: Any
) -> dict[str, Any]:
    """Write a run's summary and, for reasons with over 1,000 ids, a side file each; returns the content.

    ``extra`` adds what only some runs have (tokens, cost, notices).
    """
    seconds = time.time() - tally.started
    ids: dict[str, dict[str, Any]] = {}
    messages: dict[str, str] = {}
    stem = path.removesuffix(".json")
    for outcome, reasons in tally.by_reason.items():
        for reason, items in sorted(reasons.items()):
            if len(items) > MAX_IDS_IN_SUMMARY:
                side = f"{stem}.{outcome}.{reason}.tsv"
                files.write_atomic(side, "".join(f"{i}\t{m}\n" for i, m in sorted(items.items())))
                ids.setdefault(outcome, {})[reason] = {"file": files.base_name(side), "count": len(items)}
                continue
            ids.setdefault(outcome, {})[reason] = sorted(items)
            messages |= {item: message for item, message in sorted(items.items()) if message}
    summary = {
        "command": command,
        "version": version("coc-toolkit"),
        "python": platform.python_version(),
        "started": datetime.fromtimestamp(tally.started, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "config": dict(config),
        "counts": {outcome: tally.count(outcome) for outcome in tally.by_reason},
        "reasons": {o: {r: len(items) for r, items in sorted(rs.items())} for o, rs in tally.by_reason.items()},
        f"{unit}_per_second": round(tally.fresh / max(seconds, 1e-9), 1),
        "peak_memory_mb": _peak_memory_mb(),
        **extra,
        "ids": ids,
        "messages": messages,
    }
    files.write_atomic(path, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    tally.summary = path
    return summary


def _said(item: str, message: str) -> str:
    """Return an item with its message; one that begins with the item, or the path of its file, names it already."""
    start = message.partition(": ")[0]
    return message if start == item or start.endswith(f"/{item}") else f"{item}: {message}"


def _printable(text: str) -> str:
    """Return a text on one line that can be written anywhere; file names may hold bytes that are no UTF-8."""
    return " ".join(text.encode(errors="backslashreplace").decode().split()) if text else text


def _peak_memory_mb() -> dict[str, int]:
    """Peak resident memory of this process and of its largest finished worker."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"main": own // unit, "largest_worker": workers // unit}
