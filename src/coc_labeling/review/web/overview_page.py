"""The dashboard: how far a review has come, and how far its judgements can be relied on."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from coc_labeling.agreement.resampling import Measured
from coc_labeling.checks.risk import Status
from coc_labeling.review.judgements import Reason, Verdict
from coc_labeling.review.results.reliability import Reliability
from coc_labeling.review.results.statistics import Overview, ReviewerStatistics
from coc_labeling.review.store import Role
from coc_labeling.review.web.context import Here, Person, Someone, render

router = APIRouter()


@dataclass(frozen=True)
class Part:
    """A part of a bar: from where it reaches how far, of 100."""

    name: str
    start: float
    width: float
    count: int


@dataclass(frozen=True)
class DecisionRow:
    """How people agree on one decision: kappa of "this one, or any other", or None where there are no pairs."""

    channel: str
    name: str
    second: Measured | None
    audit: Measured | None


@router.get("/overview")
def page(request: Request, here: Here, person: Someone) -> Response:
    """Show the dashboard: all of it to auditors and admins, to reviewers their own row.

    A number that leaves planted labels out, seen before and after a judgement, tells which ones those are; kappa tells
    which labels somebody else has judged, and whether alike, while one's own judgement can still be changed. So
    reviewers see neither.
    """
    look = here.overviews.look()
    found = look.numbers
    everything = person.role is not Role.REVIEWER
    return render(
        request,
        "overview.html.jinja",
        older=look.older,
        totals=found.totals,
        bar=bar(found.totals.verdicts),
        bars={one.name: bar(one.verdicts if everything else one.all_verdicts) for one in found.reviewers},
        reviewers=_rows(found, person),
        histories={one.name: one.history if everything else one.all_history for one in found.reviewers},
        reliabilities=[("Second reviews, blind", found.second), ("Audits, blind", found.audit)],
        decisions=decision_rows(found.second, found.audit) if everything else [],
        reasons=_reasons(found.totals.reasons),
        by_check={status: (sum(said.values()), bar(said)) for status, said in _checked(found).items()},
        everything=everything,
    )


def bar(counts: Mapping[Verdict, int]) -> list[Part]:
    """Return the parts of a bar of verdicts; none for nothing."""
    parts, total, start = [], sum(counts.values()), 0.0
    for verdict in Verdict:
        if counts[verdict]:
            width = 100 * counts[verdict] / total
            parts.append(Part(verdict, start, width, counts[verdict]))
            start += width
    return parts


def decision_rows(second: Reliability, audit: Reliability) -> list[DecisionRow]:
    """Return the decisions that somebody left in a label that two judged, those most often first."""
    rows = []
    for channel, name in (("speed", "longitudinal"), ("lane", "lateral")):
        sides = [{one.name: one for one in getattr(side, name).categories} for side in (second, audit)]
        often = {
            one: sum(side[one].said_a + side[one].said_b for side in sides if one in side)
            for one in {**sides[0], **sides[1]}
        }
        for one in sorted(often, key=lambda known: (-often[known], known)):
            kappas = [side[one].kappa if one in side else None for side in sides]
            rows.append(DecisionRow(channel, one, *kappas))
    return rows


def _rows(found: Overview, person: Person) -> list[ReviewerStatistics]:
    return [one for one in found.reviewers if person.role is not Role.REVIEWER or one.name == person.name]


def _reasons(counts: Mapping[Reason, int]) -> list[tuple[Reason, int]]:
    return sorted(((reason, count) for reason, count in counts.items() if count), key=lambda one: -one[1])


def _checked(found: Overview) -> dict[str, dict[Verdict, int]]:
    """Return verdicts by what the checks had said, the lowest risk first."""
    order = [*map(str, Status), None]
    known = sorted(found.totals.by_check.items(), key=lambda one: order.index(one[0]) if one[0] in order else -1)
    return {status or "not checked": said for status, said in known}
