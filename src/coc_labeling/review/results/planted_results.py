"""What reviewers made of labels with a known answer: how many right ones they accepted, and how many errors they found.

A wrong label is found where it is rejected, or edited so that its error is gone. Whoever edits something else has not
found it. Those of which a reviewer is unsure are in neither share: they are counted apart.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sqlite3 import Row

from coc_labeling.agreement.estimates import wilson
from coc_labeling.planting import Error, Known, plant
from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.phases import state_of
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel, Component, LateralDecision, LongitudinalDecision


@dataclass(frozen=True)
class Share:
    """So many of so many, with Wilson's 95 % interval; value and ends are None where there are none at all.

    The interval takes each one for independent of the others. Several components of one label are not quite.

    Example:
        >>> found = Share(18, 20)
        >>> found.value, round(found.low, 3), round(found.high, 3)
        (0.9, 0.699, 0.972)
    """

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share."""
        return self.hits / self.n if self.n else None

    @property
    def low(self) -> float | None:
        """The lower end of its interval."""
        return wilson(self.hits, self.n)[0] if self.n else None

    @property
    def high(self) -> float | None:
        """The upper end of its interval."""
        return wilson(self.hits, self.n)[1] if self.n else None


@dataclass(frozen=True)
class PlantedResults:
    """What a reviewer made of planted labels.

    Attributes:
        good_accepted: right ones that were accepted, of those judged with certainty.
        good_unsure: right ones of which they were unsure.
        bad_found: wrong ones that were rejected, or edited so that the error is gone, of those judged with certainty.
        bad_unsure: wrong ones of which they were unsure.
    """

    good_accepted: Share = Share(0, 0)
    good_unsure: int = 0
    bad_found: Share = Share(0, 0)
    bad_unsure: int = 0


def planted_results(store: ReviewStore) -> dict[str, PlantedResults]:
    """Return what each reviewer made of planted labels, by name; nothing for those who judged none."""
    counts: dict[str, Counter[tuple[Kind, bool | None]]] = defaultdict(Counter)
    for row in store.database.rows(_PLANTED):
        counts[row["reviewer"]][Kind(row["kind"]), _is_right(store, row)] += 1
    return {reviewer: _results(of_reviewer) for reviewer, of_reviewer in counts.items()}


_PLANTED = """
    SELECT t.id, t.reviewer, t.kind, t.verdict, l.truth FROM tasks t JOIN labels l ON l.id = t.label
    WHERE t.phase = 'done' AND t.kind IN ('planted_good', 'planted_bad') ORDER BY t.id
"""


def _is_right(store: ReviewStore, row: Row) -> bool | None:
    """Say whether a verdict is the right one; None where the reviewer is unsure."""
    verdict = Verdict(row["verdict"])
    if verdict is Verdict.UNSURE:
        return None
    if row["kind"] == Kind.PLANTED_GOOD:
        return verdict is Verdict.ACCEPT
    if verdict is not Verdict.EDIT:
        return verdict is Verdict.REJECT
    if row["truth"] not in tuple(Error):
        raise ReviewError(f"planted error {row['truth']!r}: unknown. It was written by a newer version of coc-toolkit.")
    planted, judgement = store.label(row["id"]), state_of(event.step for event in store.history(row["id"])).judgement
    edited = judgement.result(planted) if judgement is not None else None
    return edited is None or error_is_gone(Error(row["truth"]), planted, edited)


def _results(counts: Counter[tuple[Kind, bool | None]]) -> PlantedResults:
    def share(kind: Kind) -> Share:
        return Share(counts[kind, True], counts[kind, True] + counts[kind, False])

    return PlantedResults(
        share(Kind.PLANTED_GOOD),
        counts[Kind.PLANTED_GOOD, None],
        share(Kind.PLANTED_BAD),
        counts[Kind.PLANTED_BAD, None],
    )


def error_is_gone(error: Error, planted: CoCLabel, edited: CoCLabel) -> bool:
    """Say whether an edit took out the error that was planted into a label.

    The sentence is not read: whether it says what the structure says is another question.
    """
    speed, lane = edited.longitudinal, edited.lateral
    match error:
        case Error.FLIPPED_DIRECTION:
            return lane is None or planted.lateral is None or lane.direction != planted.lateral.direction
        case Error.WRONG_MANOEUVRE:
            return lane is None or planted.lateral is None or lane.decision != planted.lateral.decision
        case Error.MISSED_LANE_CHANGE:  # saying nothing misses it as well
            return lane is not None and lane.decision is not LateralDecision.KEEP_LANE
        case Error.STOP_WHILE_MOVING:
            return speed is None or speed.decision is not LongitudinalDecision.STOP
        case Error.PHANTOM_LEAD:
            follows = speed is not None and speed.decision is LongitudinalDecision.FOLLOW_LEAD
            return not follows and _are_fewer(_causes_of_speed(planted), edited, planted)
        case Error.WRONG_SIDE:
            return _are_fewer(_on_wrong_side(planted), edited, planted)
        case Error.FUTURE_CAUSE:
            told = [_looks(cause) for cause in _causes_of_speed(planted)]
            return not any(_looks(cause) in told for cause in _causes_of_speed(edited))


def _are_fewer(wrong: Iterable[Component], edited: CoCLabel, planted: CoCLabel) -> bool:
    """Say whether of each of these components an edit left fewer that look the same."""
    return all(_count(edited, one) < _count(planted, one) for one in wrong)


def _looks(component: Component) -> tuple[object, ...]:
    return component.category, component.relation, component.side, component.track_id


def _count(label: CoCLabel, like: Component) -> int:
    return sum(_looks(component) == _looks(like) for component in label.components)


def _on_wrong_side(planted: CoCLabel) -> Iterator[Component]:
    """Yield the component whose side was exchanged: planting the error once more would exchange it again."""
    right = plant(planted, Error.WRONG_SIDE, Known(stands=False, has_lead=False))
    if right is not None:
        yield from (wrong for wrong, own in zip(planted.components, right.components, strict=True) if wrong != own)


def _causes_of_speed(label: CoCLabel) -> list[Component]:
    cited = label.longitudinal.cause_ids if label.longitudinal is not None else ()
    return [component for component in label.components if component.id in cited]
