"""What the checks of all labels found: by kind of check, by risk, and what was wrong with tracks."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from coc_labeling.checks.base import Verdict
from coc_labeling.checks.results import CHECK_SUMMARY, CHECKS_SCHEMA, CHECKS_TABLE
from coc_labeling.checks.risk import HIGH, LOW, Status
from coc_labeling.report.runs import Run
from coc_labeling.report.tables import Found, dig, read_columns, read_summaries
from coc_labeling.results import KEY

BINS = 20  # of the histogram of risks
CLIPS = 5  # whose track problems are shown

_STAMP = ("file_size", "file_mtime_ns")
_COLUMNS = pa.schema([CHECKS_SCHEMA.field(name) for name in (*KEY, "risk", "status", "track_problems", *_STAMP)])


@dataclass(frozen=True)
class CheckedRun:
    """A run whose labels have been checked: its rows without findings, and counts of findings.

    Attributes:
        number: of the run in the report.
        run: the run.
        rows: of ``checks.parquet``.
        summaries: ``check_summary.json``, one a shard.
        notices: what of them is missing, damaged, or older than its labels.
    """

    number: int
    run: Run
    rows: Found
    summaries: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Verdicts:
    """How many findings had which verdict."""

    supported: int = 0
    contradicted: int = 0
    not_observable: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.supported + self.contradicted + self.not_observable

    @property
    def judged(self) -> int:
        """Those where the facts told."""
        return self.supported + self.contradicted

    @property
    def precision(self) -> float | None:
        """The share supported among those where the facts told, 0 to 1; None where they never did."""
        return self.supported / self.judged if self.judged else None

    def __add__(self, other: "Verdicts") -> "Verdicts":
        return Verdicts(
            self.supported + other.supported,
            self.contradicted + other.contradicted,
            self.not_observable + other.not_observable,
        )

    def __sub__(self, other: "Verdicts") -> "Verdicts":
        return Verdicts(
            max(0, self.supported - other.supported),
            max(0, self.contradicted - other.contradicted),
            max(0, self.not_observable - other.not_observable),
        )


@dataclass(frozen=True)
class CheckRow:
    """One check: what it found by facts that the labeller was not told, and by other ones or the text alone."""

    check: str
    independent: Verdicts
    other: Verdicts


@dataclass(frozen=True)
class CheckStatistics:
    """The checks of all runs.

    Attributes:
        labels: rows there are.
        checks: by kind; those with independent findings first.
        statuses: labels by status, in the order of ``Status``.
        histogram: for each bin of risk its lower end, its labels, and the status that its risk stands for.
        clips_with_problems: of their tracks, how many.
        track_problems: the first of them: run, clip, and what was found.
        unchecked: run and command for each run that has not been checked.
        notices: what is missing or outdated.
    """

    labels: int
    checks: list[CheckRow]
    statuses: list[tuple[str, int]]
    histogram: list[tuple[float, int, str]]
    clips_with_problems: int
    track_problems: list[tuple[Run, str, list[str]]]
    unchecked: list[tuple[Run, str]]
    notices: list[str]

    @property
    def with_facts(self) -> list[CheckRow]:
        """The checks that found something by facts that the labeller was not told."""
        return [row for row in self.checks if row.independent.total]

    @property
    def without_facts(self) -> list[CheckRow]:
        """The findings that are no independent evidence."""
        return [row for row in self.checks if row.other.total]


def checked_runs(runs: Sequence[Run]) -> list[CheckedRun]:
    """Read the checks of all runs that have any, those of unmerged shards included."""
    found = []
    for number, run in enumerate(runs):
        if run.labelling is None:
            continue
        rows = read_columns(run.path, CHECKS_TABLE, _COLUMNS)
        if not rows.paths:
            continue
        summaries, notices = read_summaries(run.path, CHECK_SUMMARY)
        if not summaries:
            notices.append(f"{run.path}: no {CHECK_SUMMARY}, so findings by check are unknown. Run coc check again.")
        notices = [*rows.notices, *notices, *_coverage(run, rows.table)]
        found.append(CheckedRun(number, run, rows, tuple(summaries), tuple(notices)))
    return found


def _coverage(run: Run, checks: pa.Table) -> list[str]:
    """Say how many labels have no checks, or changed after them."""
    assert run.labelling is not None
    labels = run.labelling.labels.table.select([*KEY, *_STAMP])
    renamed = checks.select([*KEY, *_STAMP]).rename_columns([*KEY, *(f"checked_{name}" for name in _STAMP)])
    joined = labels.join(renamed, list(KEY), join_type="inner")
    missing = max(0, labels.num_rows - joined.num_rows)
    same = [pc.equal(joined.column(name), joined.column(f"checked_{name}")) for name in _STAMP]
    outdated = int(pc.sum(pc.invert(pc.and_(*same))).as_py() or 0)  # a stamp that is not known speaks for neither
    notices = []
    if missing:
        notices.append(f"{run.title}: {missing:,} of {labels.num_rows:,} records have not been checked.")
    if outdated:
        notices.append(f"{run.title}: {outdated:,} records have changed since they were checked.")
    return [f"{notice} Run {check_command(run)} again." for notice in notices]


def check_command(run: Run) -> str:
    """Return the command that checks a run."""
    return f"coc check {shlex.quote(run.path)}"


def check_statistics(runs: Sequence[Run], checked: Sequence[CheckedRun]) -> CheckStatistics:
    """Return the statistics of all checked runs together."""
    table = pa.concat_tables([_COLUMNS.empty_table(), *(own.rows.table for own in checked)])
    known = {own.number for own in checked}
    counted = Counter({row["values"]: row["counts"] for row in pc.value_counts(table.column("status")).to_pylist()})
    problems = [(own.run, clip_id, said) for own in checked for clip_id, said in _track_problems(own.rows.table)]
    return CheckStatistics(
        labels=table.num_rows,
        checks=_by_check([summary for own in checked for summary in own.summaries]),
        statuses=[(str(status), counted[status]) for status in Status],
        histogram=_histogram(table),
        clips_with_problems=len(problems),
        track_problems=problems[:CLIPS],
        unchecked=[
            (run, check_command(run))
            for number, run in enumerate(runs)
            if run.labelling is not None and number not in known
        ],
        notices=[notice for own in checked for notice in own.notices],
    )


def _histogram(table: pa.Table) -> list[tuple[float, int, str]]:
    """Count risks by bin; abstentions have none."""
    risks = table.filter(pc.not_equal(table.column("status"), Status.ABSTAINED)).column("risk").drop_null()
    # Half a step of the fourth decimal, to which risks are rounded: 0.15 belongs to the bin that it begins.
    bins = pc.floor(pc.multiply(pc.add(risks, 0.00005), float(BINS))).cast(pa.int64())
    counted: Counter[int] = Counter()
    for row in pc.value_counts(bins).to_pylist():
        counted[min(max(row["values"], 0), BINS - 1)] += row["counts"]
    return [(k / BINS, counted[k], _status_at(k / BINS)) for k in range(BINS)]


def _status_at(risk: float) -> Status:
    return Status.LOW if risk < LOW else Status.HIGH if risk >= HIGH else Status.MEDIUM


def _track_problems(table: pa.Table) -> list[tuple[str, list[str]]]:
    """Return the clips whose tracks have problems, by id; each clip's labels all carry them."""
    bad = table.filter(pc.greater(pc.fill_null(pc.list_value_length(table.column("track_problems")), 0), 0))
    found = dict(zip(*(bad.column(name).to_pylist() for name in ("clip_id", "track_problems")), strict=True))
    return sorted(found.items())


def _by_check(summaries: Sequence[Mapping[str, Any]]) -> list[CheckRow]:
    """Add up the findings of shards and runs; the check with the lowest precision first."""
    every: dict[str, Verdicts] = {}
    alone: dict[str, Verdicts] = {}
    for summary in summaries:
        checks = summary.get("checks")
        for name, figures in checks.items() if isinstance(checks, dict) else ():
            every[name] = every.get(name, Verdicts()) + _verdicts(figures)
            alone[name] = alone.get(name, Verdicts()) + _verdicts(dig(figures, "independent"))
    rows = [CheckRow(name, alone[name], found - alone[name]) for name, found in every.items()]
    return sorted(rows, key=lambda row: (row.independent.precision is None, row.independent.precision or 0, row.check))


def _verdicts(figures: object) -> Verdicts:
    counts = (dig(figures, verdict) for verdict in Verdict)
    return Verdicts(*(count if isinstance(count, int) else 0 for count in counts))
