"""What became of clips and windows: counts by outcome and reason, with the first ids and messages of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_runs.outcomes import DONE, FAILED, REJECTED
from coc_labeling.errors import RecordError
from coc_labeling.report.runs import LabelRun, MetaActionRun
from coc_labeling.report.tables import dig
from coc_labeling.results import ABSTENTION, LABEL, ExperimentFolder, read_record
from coc_labeling.work import item_of
from driving_clips import files

EXAMPLES = 3
MAX_MESSAGE = 600


@dataclass
class Problem:
    """Clips or windows with one outcome and reason.

    Attributes:
        outcome: rejected or failed.
        reason: the short key.
        count: how many.
        examples: the first ids, each with its message.
        where: the file with the full list.
    """

    outcome: str
    reason: str
    count: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    where: str = ""

    @property
    def more(self) -> int:
        """How many are not among the examples."""
        return self.count - len(self.examples)


@dataclass(frozen=True)
class Outcomes:
    """How many clips or windows were done, rejected and failed, and why the latter two."""

    done: int
    problems: list[Problem]

    @property
    def rejected(self) -> int:
        """How many were rejected."""
        return sum(problem.count for problem in self.problems if problem.outcome == REJECTED)

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(problem.count for problem in self.problems if problem.outcome == FAILED)


def clip_outcomes(run: MetaActionRun) -> Outcomes:
    """Return what became of the clips of Step 1: its table, and what only its summary knows (unreadable names)."""
    table = run.clips.table
    where = ", ".join(run.clips.paths)
    problems = _from_table(table, where) if table.num_rows else {}
    _add_summaries(problems, run.summaries, table.column("clip_id"))
    done = _count(table, "outcome", DONE) if run.clips.paths else _counted(run.summaries, DONE)
    return Outcomes(done, _ordered(problems.values()))


def window_outcomes(run: LabelRun) -> Outcomes:
    """Return what became of the windows of Step 3: its table, and the failures of its summary."""
    table = run.labels.table
    where = ", ".join(run.labels.paths)
    problems: dict[tuple[str, str], Problem] = {}
    abstained = table.filter(pc.equal(table.column("status"), ABSTENTION))
    for reason in sorted(pc.unique(abstained.column("abstention_reason")).to_pylist(), key=str):
        same = pc.equal(abstained.column("abstention_reason"), reason)
        rows = abstained.filter(same if reason is not None else pc.is_null(abstained.column("abstention_reason")))
        key = REJECTED, f"abstained_{reason}"
        problems[key] = Problem(*key, rows.num_rows, _abstention_examples(run.path, rows), where)
    _add_summaries(problems, run.summaries, None)
    return Outcomes(_count(table, "status", LABEL), _ordered(problems.values()))


def _from_table(table: pa.Table, where: str) -> dict[tuple[str, str], Problem]:
    bad = table.filter(pc.not_equal(table.column("outcome"), DONE))
    problems: dict[tuple[str, str], Problem] = {}
    keys = bad.select(["outcome", "reason"]).group_by(["outcome", "reason"]).aggregate([([], "count_all")])
    for row in keys.to_pylist():
        outcome, reason = str(row["outcome"]), str(row["reason"])
        same = pc.and_(pc.equal(bad.column("outcome"), outcome), pc.equal(bad.column("reason"), reason))
        first = bad.filter(same).slice(0, EXAMPLES)
        examples = dict(
            zip(first.column("clip_id").to_pylist(), map(_short, first.column("detail").to_pylist()), strict=True)
        )
        problems[outcome, reason] = Problem(outcome, reason, row["count_all"], examples, where)
    return problems


def _add_summaries(
    problems: dict[tuple[str, str], Problem], summaries: Sequence[dict[str, Any]], known: pa.ChunkedArray | None
) -> None:
    """Add the reasons of summaries; items of a reason that the table already counts are not counted twice."""
    for summary in summaries:
        for outcome in (REJECTED, FAILED):
            for reason, listed in (dig(summary, "ids", outcome) or {}).items():
                if outcome == REJECTED and known is None and (outcome, reason) in problems:
                    continue  # abstentions: the table has every one of them
                own = Problem(outcome, reason, where=str(summary["path"]))
                _fill(own, listed, summary, known)
                if own.count:
                    _join(problems, own)


def _fill(problem: Problem, listed: Any, summary: dict[str, Any], known: pa.ChunkedArray | None) -> None:
    """Take a reason's ids from a summary, or from the side file that it names."""
    if isinstance(listed, dict):
        problem.where = files.join(files.parent(str(summary["path"])), files.base_name(str(listed.get("file"))))
        items = _read_side_file(problem.where)
    else:
        messages = summary.get("messages")
        ids = listed if isinstance(listed, list) else []
        items = {str(i): str(messages.get(i, "")) if isinstance(messages, dict) else "" for i in ids}
    if known is not None and items:
        ids_ = pa.array(items, pa.string())
        new = set(ids_.filter(pc.invert(pc.is_in(ids_, known))).to_pylist())
        items = {item: message for item, message in items.items() if item in new}
        problem.count = len(items)
    else:
        problem.count = int(listed.get("count", 0)) if isinstance(listed, dict) else len(items)
    problem.examples = {item: _short(message) for item, message in list(items.items())[:EXAMPLES]}


def _read_side_file(path: str) -> dict[str, str]:
    try:
        lines = files.read_text(path).splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(line.partition("\t")[::2] for line in lines)


def _join(problems: dict[tuple[str, str], Problem], own: Problem) -> None:
    """Add a shard's problem to that of the others."""
    key = own.outcome, own.reason
    there = problems.setdefault(key, Problem(*key))
    there.count += own.count
    there.examples = dict(list((there.examples | own.examples).items())[:EXAMPLES])
    there.where = ", ".join(filter(None, dict.fromkeys([there.where, own.where])))


def _abstention_examples(folder: str, rows: pa.Table) -> dict[str, str]:
    """Return the first abstentions with the detail that only their record holds."""
    first = rows.slice(0, EXAMPLES)
    examples = {}
    for moment in zip(*(first.column(n).to_pylist() for n in ("clip_id", "event_start_timestamp")), strict=True):
        name = item_of(*moment)
        try:
            record = read_record(ExperimentFolder(folder).record_path(*moment), moment)
            examples[name] = _short(record.label.abstention.detail if record.label.abstention else "")
        except RecordError:
            examples[name] = "(its record cannot be read)"
    return examples


def _count(table: pa.Table, column: str, value: str) -> int:
    return int(np.asarray(pc.sum(pc.equal(table.column(column), value)).as_py() or 0))


def _counted(summaries: Sequence[dict[str, Any]], outcome: str) -> int:
    return sum(int(dig(summary, "counts", outcome) or 0) for summary in summaries)


def _ordered(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (p.outcome != FAILED, -p.count, p.reason))


def _short(message: object) -> str:
    text = "" if message is None else str(message)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} … ({len(text) - MAX_MESSAGE:,} more characters)"
