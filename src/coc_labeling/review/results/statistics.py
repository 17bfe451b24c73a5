"""Numbers of a review for its dashboard: what was decided, how fast, and how far it can be relied on.

Only judgements that hold count. Planted labels measure reviewers and are no part of the run: no verdict on one is
counted among the run's.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median

from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.batches.queue import Progress, progress_by_reviewer
from coc_labeling.review.judgements import Reason, Verdict
from coc_labeling.review.results.history_results import HistoryOf, HistoryResults, history_results, total
from coc_labeling.review.results.outcomes import FINAL_VERDICTS, outcomes
from coc_labeling.review.results.planted_results import PlantedResults, planted_results
from coc_labeling.review.results.reliability import Pairs, Reliability, pairs_of
from coc_labeling.review.store import ReviewStore, Role


@dataclass(frozen=True)
class Totals:
    """What became of a run's labels, each counted once, by the word that counts.

    Attributes:
        labels: all that came in, each moment with its last content.
        reviewed: those that somebody judged; the rest of the fields is of them.
        verdicts, reasons: how often each was the final one, 0 included.
        by_check: verdicts by what ``coc check`` had said; under None those that had not been checked.
        repeated: judged by more than one person.
        disputed: of these, where the reviewers differ and nobody audited.
        history: phase one of first reviews.
    """

    labels: int
    reviewed: int
    verdicts: dict[Verdict, int]
    reasons: dict[Reason, int]
    by_check: dict[str | None, dict[Verdict, int]]
    repeated: int
    disputed: int
    history: HistoryResults


@dataclass(frozen=True)
class ReviewerStatistics:
    """What one person did.

    Attributes:
        name: of the reviewer or auditor.
        role: reviewer or auditor.
        tasks, done: all of theirs and those judged, planted ones included.
        verdicts, reasons: theirs that hold, of labels of the run alone, 0 included.
        all_verdicts: the same with planted ones: set beside ``done`` it does not tell which labels were planted.
        median_sec: from the opening of a task to its first judgement, planted ones and pauses included; None where
            nothing is judged.
        planted: what they made of labels with a known answer.
        history: phase one, of labels of the run.
        all_history: the same with planted ones, for who must not see which ones those are.
        second: they (A) and the other one (B), of labels that two people reviewed.
        audit: they (A) and the auditors (B); for an auditor B are the first reviewers.
    """

    name: str
    role: Role
    tasks: int
    done: int
    verdicts: dict[Verdict, int]
    reasons: dict[Reason, int]
    all_verdicts: dict[Verdict, int]
    median_sec: float | None
    planted: PlantedResults
    history: HistoryResults
    all_history: HistoryResults
    second: Reliability
    audit: Reliability


@dataclass(frozen=True)
class Overview:
    """All numbers of a review.

    Attributes:
        totals: of the run's labels.
        reviewers: one by one, by name; without admins.
        second: first (A) and second reviews (B) of the same labels.
        audit: first reviews (A) and audits (B).
    """

    totals: Totals
    reviewers: tuple[ReviewerStatistics, ...]
    second: Reliability
    audit: Reliability


def overview(store: ReviewStore) -> Overview:
    """Return the numbers of a review. Of 100,000 judgements that takes seconds: see ``overviews``."""
    repeated = list(outcomes(store, repeated=True))
    second, audit = pairs_of(repeated, Kind.SECOND), pairs_of(repeated, Kind.AUDIT)
    history = history_results(store)
    disputed = sum(outcome.disputed for outcome in repeated)
    return Overview(
        _totals(store, len(repeated), disputed, total(history, kind=Kind.FIRST)),
        _reviewers(store, history, second, audit),
        second.reliability(),
        audit.reliability(),
    )


def _totals(store: ReviewStore, repeated: int, disputed: int, history: HistoryResults) -> Totals:
    labels = store.database.rows(_LABELS)[0]["labels"]
    verdicts, reasons = dict.fromkeys(Verdict, 0), dict.fromkeys(Reason, 0)
    by_check: dict[str | None, dict[Verdict, int]] = defaultdict(lambda: dict.fromkeys(Verdict, 0))
    for row in store.database.rows(FINAL_VERDICTS):
        verdict = Verdict(row["verdict"])
        verdicts[verdict] += row["labels"]
        by_check[row["check_status"]][verdict] += row["labels"]
        if row["reason"] is not None:
            reasons[Reason(row["reason"])] += row["labels"]
    return Totals(labels, sum(verdicts.values()), verdicts, reasons, dict(by_check), repeated, disputed, history)


_LABELS = """
    SELECT count(*) AS labels FROM (SELECT DISTINCT clip_id, t_us FROM labels WHERE origin = 'generated')
"""


def _reviewers(store: ReviewStore, history: HistoryOf, second: Pairs, audit: Pairs) -> tuple[ReviewerStatistics, ...]:
    progress, planted = progress_by_reviewer(store), planted_results(store)
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in store.database.rows(_VERDICTS):
        verdicts[row["reviewer"]][row["verdict"]] += row["tasks"]
        if row["reason"] is not None:
            verdicts[row["reviewer"]][row["reason"]] += row["tasks"]
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in store.database.rows(_TIMES):
        seconds[row["actor"]].append((row["judged_ms"] - row["opened_ms"]) / 1000)
    nothing = Progress()
    return tuple(
        ReviewerStatistics(
            name,
            role,
            progress.get(name, nothing).total,
            progress.get(name, nothing).done,
            {verdict: verdicts[name][verdict] for verdict in Verdict},
            {reason: verdicts[name][reason] for reason in Reason},
            {verdict: progress.get(name, nothing).verdicts[verdict] for verdict in Verdict},
            median(seconds[name]) if seconds[name] else None,
            planted.get(name, PlantedResults()),
            total(history, reviewer=name),
            total(history, reviewer=name, planted=True),
            second.of(name).reliability(),
            audit.of(name).reliability(),
        )
        for name, role in store.people().items()
        if role is not Role.ADMIN
    )


_VERDICTS = """
    SELECT reviewer, verdict, reason, count(*) AS tasks FROM tasks
    WHERE phase = 'done' AND kind IN ('first', 'second', 'audit') GROUP BY reviewer, verdict, reason
"""
# All events of a task are its reviewer's, and the first is its opening, with phase one or without.
_TIMES = """
    SELECT actor, min(at_ms) AS opened_ms, min(CASE kind WHEN 'judged' THEN at_ms END) AS judged_ms
    FROM events GROUP BY task HAVING sum((kind = 'judged') - (kind = 'undone')) > 0
"""
