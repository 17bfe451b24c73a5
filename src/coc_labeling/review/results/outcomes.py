"""What people left of a run's labels: who judged each one, and whose word counts.

The rule is here and nowhere else:

- An audit has the final word, then the first review, then the second. That holds for what is unsure, too: an audit that
  is unsure leaves no label, whatever was accepted before.
- Where the first and the second review differ and nobody audits, the first counts, and the label is ``disputed``.
- Only judgements that hold count, of generated labels, never of planted ones. Where the label of a moment has come into
  the queue again with another content, only the last content counts: nothing is said of a label that is no more.

``--only reviewed`` of an export takes the labels that people kept (``kept``): accepted ones as they were generated,
edited ones as they were edited. ``--only accepted`` takes those of them that are not disputed (``accepted``). Rejected
and unsure ones are in neither.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from sqlite3 import Row

from coc_labeling.review.batches.planning import Kind, Stratum
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.phases import Judged
from coc_labeling.review.steps import as_step
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel, LateralDecision, LongitudinalDecision, Side

LABELS_AT_ONCE = 2000
_RANK = "CASE t.kind WHEN 'audit' THEN 0 WHEN 'first' THEN 1 WHEN 'second' THEN 2 END"  # whose word counts before whose
_LATEST = """
    NOT EXISTS (
        SELECT 1 FROM labels later
        WHERE later.clip_id = l.clip_id AND later.t_us = l.t_us AND later.origin = l.origin AND later.id > l.id
    )
"""

Decisions = tuple[LongitudinalDecision | None, LateralDecision | None, Side | None]


@dataclass(frozen=True)
class Review:
    """What one person decided of a label: the judgement that holds, in a first or second review or an audit."""

    task: int
    reviewer: str
    kind: Kind
    judgement: Judgement


@dataclass(frozen=True)
class Outcome:
    """What became of a label.

    Attributes:
        clip_id, t_us: the moment; the keyframe in microseconds on the clip clock.
        label: as it was generated.
        reviews: all that hold, the one with the final word first.
        stratum, inclusion_probability, wave: of the first review's task, whether that is done or not.
    """

    clip_id: str
    t_us: int
    label: CoCLabel
    reviews: tuple[Review, ...]
    stratum: Stratum | None
    inclusion_probability: float | None
    wave: int

    @property
    def kind(self) -> Kind:
        """Which review has the final word."""
        return self.reviews[0].kind

    @property
    def verdict(self) -> Verdict:
        """The final verdict."""
        return self.reviews[0].judgement.verdict

    @property
    def reason(self) -> Reason | None:
        """Why it was rejected, where it was."""
        return self.reviews[0].judgement.reason

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Who judged it, the one with the final word first."""
        return tuple(review.reviewer for review in self.reviews)

    @property
    def result(self) -> CoCLabel | None:
        """The label as it was left, edited or not; None where it was rejected or nobody is sure."""
        return self.result_of(self.reviews[0])

    def result_of(self, review: Review) -> CoCLabel | None:
        """Return the label as one of the reviews left it."""
        return review.judgement.result(self.label)

    def decisions_by(self, review: Review) -> Decisions | None:
        """Return the decisions of the label as one of the reviews left it; None where it left none."""
        if review.judgement.edit is not None:
            return decisions_of(review.judgement.edit)
        return decisions_of(self.label) if review.judgement.verdict is Verdict.ACCEPT else None

    @property
    def agreed(self) -> bool | None:
        """Whether all who judged it say the same of its decisions; None where only one did.

        They do where all keep it with equal decisions and direction, where all reject it, and where all are unsure.
        """
        if len(self.reviews) < 2:
            return None
        return len({self.decisions_by(review) or review.judgement.verdict for review in self.reviews}) == 1

    @property
    def kept(self) -> bool:
        """Whether a label was left: what ``reviewed`` stands for."""
        return self.verdict in (Verdict.ACCEPT, Verdict.EDIT)

    @property
    def disputed(self) -> bool:
        """Whether the reviewers differ and nobody audited."""
        return self.agreed is False and self.kind is not Kind.AUDIT

    @property
    def accepted(self) -> bool:
        """Whether a label was left that nobody disputes: what ``accepted`` stands for."""
        return self.kept and not self.disputed


def decisions_of(label: CoCLabel | Edit) -> Decisions:
    """Return the decisions of a label, or of an edit, on speed and lane, and the direction."""
    speed, lane = label.longitudinal, label.lateral
    return (
        speed.decision if speed is not None else None,
        lane.decision if lane is not None else None,
        lane.direction if lane is not None else None,
    )


def outcomes(store: ReviewStore, *, repeated: bool = False) -> Iterator[Outcome]:
    """Yield what became of each label that somebody judged, sorted by clip and keyframe, few held at once.

    Args:
        store: the reviews.
        repeated: only those that more than one person judged.

    Raises:
        ReviewError: an event cannot be read.
    """
    sql = _JUDGED.format(judged=_REPEATED if repeated else _ALL)
    after = "", -1
    while True:
        rows = store.database.rows(sql, (*after, LABELS_AT_ONCE))
        for (clip_id, t_us), of_label in groupby(rows, key=lambda row: (row["clip_id"], row["t_us"])):
            outcome, after = _outcome(list(of_label)), (clip_id, t_us)
            if not repeated or len(outcome.reviews) > 1:
                yield outcome
        if not rows:
            return


def outcome_at(store: ReviewStore, clip_id: str, t_us: int) -> Outcome | None:
    """Return what became of the label of one moment; None where nobody judged it."""
    rows = store.database.rows(_JUDGED.format(judged=_ALL), (clip_id, t_us - 1, 1))
    found = _outcome(rows) if rows else None
    return found if found is not None and (found.clip_id, found.t_us) == (clip_id, t_us) else None


# Where labels that were judged are looked for: all labels in their order; or tasks, of which fewer are repetitions.
_ALL = "labels l WHERE EXISTS (SELECT 1 FROM tasks WHERE label = l.id AND phase = 'done')"
_REPEATED = """
    (SELECT DISTINCT label FROM tasks WHERE phase = 'done' AND kind IN ('second', 'audit')) again
    CROSS JOIN labels l ON l.id = again.label WHERE true
"""
# The labels of one page are chosen first, so that all reviews of each are on it. An undone judgement before another one
# is left to Python: it is a stack. CROSS JOIN keeps SQLite from going through all tasks again for each page.
_JUDGED = f"""
    WITH chosen AS MATERIALIZED (
        SELECT l.id, l.clip_id, l.t_us, l.label FROM {{judged}}
            AND l.origin = 'generated' AND (l.clip_id, l.t_us) > (?, ?) AND {_LATEST}
        ORDER BY l.clip_id, l.t_us LIMIT ?
    )
    SELECT c.clip_id, c.t_us, c.label, t.id AS task, t.kind AS task_kind, e.actor, e.kind, e.content,
           f.stratum, f.inclusion_probability, b.wave
    FROM chosen c
        CROSS JOIN tasks f ON f.label = c.id AND f.kind = 'first'
        CROSS JOIN batches b ON b.id = f.batch
        CROSS JOIN tasks t ON t.label = c.id AND t.phase = 'done'
        CROSS JOIN events e ON e.task = t.id AND e.kind IN ('judged', 'undone')
    ORDER BY c.clip_id, c.t_us, {_RANK}, t.id, e.id
"""  # noqa: S608 - ours

# How many labels have which final verdict, reason and result of checks. Of each label SQLite takes the columns of the
# task with the least rank (sqlite.org/lang_select.html, "Bare columns in an aggregate query").
FINAL_VERDICTS = f"""
    SELECT verdict, reason, check_status, count(*) AS labels FROM (
        SELECT t.verdict, t.reason, l.check_status, min({_RANK})
        FROM tasks t JOIN labels l ON l.id = t.label
        WHERE t.phase = 'done' AND l.origin = 'generated' AND {_LATEST}
        GROUP BY t.label
    )
    GROUP BY verdict, reason, check_status ORDER BY check_status, verdict, reason
"""  # noqa: S608 - ours


def _outcome(rows: list[Row]) -> Outcome:
    reviews = (_review(list(of_task)) for _, of_task in groupby(rows, key=lambda row: row["task"]))
    one = rows[0]
    return Outcome(
        one["clip_id"],
        one["t_us"],
        _label(one["label"]),
        tuple(reviews),
        Stratum(one["stratum"]) if one["stratum"] else None,
        one["inclusion_probability"],
        one["wave"],
    )


def _review(rows: list[Row]) -> Review:
    actor, judgement = _holds((row["actor"], row["kind"], row["content"]) for row in rows)
    return Review(rows[0]["task"], actor, Kind(rows[0]["task_kind"]), judgement)


def _holds(events: Iterable[tuple[str, str, str]]) -> tuple[str, Judgement]:
    """Return who judged and how, by the judgement that holds; only that one is parsed."""
    standing: list[tuple[str, str, str]] = []
    for event in events:
        if event[1] == "undone":
            standing.pop()
        else:
            standing.append(event)
    actor, _, content = standing[-1]
    return actor, _judgement(content)


@lru_cache(maxsize=4096)  # those that more than one person judged are asked for with each look at the dashboard
def _label(text: str) -> CoCLabel:
    return CoCLabel.model_validate_json(text)


@lru_cache(maxsize=4096)  # most say no more than "accept"
def _judgement(content: str) -> Judgement:
    step = as_step("judged", content)
    assert isinstance(step, Judged)
    return step.judgement
