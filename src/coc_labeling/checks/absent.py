"""Claims that nobody is there, against the tracks."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import TRACKS, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.kinds import fits
from coc_labeling.checks.lateral import OVER
from coc_labeling.checks.placing import FITTING, leads_around
from coc_labeling.checks.watching import LEAST_RANGE_M, others_unknown, unseen_because
from coc_labeling.scene.roles import Kind
from coc_labeling.schema import Category, Relation

CLEAR_SEC, CLEAR_M = 1.5, 12.0  # nobody is nearer on a road that is clear
BEHIND_M = 8.0  # who is beside ego, or no further behind, is on a side that is said to be free
IN_THE_WAY = (Kind.CROSSING, Kind.ENTERING, Kind.IN_PATH)
ON_A_SIDE = (Kind.ADJACENT, Kind.BESIDE, Kind.CUT_IN)


class AbsentCheck(Check):
    """A road, or a side, that is said to be clear has nobody near."""

    name = "absent"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each road user, or anybody, that is said not to be there."""
        # A free lane that ego changes to is not the one that it is in.
        moves_over = any(claim.decision in OVER for claim in case.claims.decisions)
        for cause in case.claims.absent:
            vague = moves_over and cause.relation is None and cause.side is None
            if cause.category in (Category.CRITICAL_OBJECT, Category.LANE) and not vague:
                yield self._of(cause, case)

    def _of(self, cause: CauseClaim, case: Case) -> Finding:
        if unknown := others_unknown(case):
            return self.not_observable(cause.text, unknown)
        reach_m = _reach_m(cause, case)
        if someone := _someone(cause, reach_m, case):
            track_id, ahead_m = someone
            where = f"{ahead_m:.0f} m ahead" if ahead_m > 0.0 else "beside ego"
            reason = f"it says that there is none, but track {track_id} is {where}"
            return self.contradicted(cause.text, reason, 0.6, TRACKS, distance_m=ahead_m)
        if unseen := unseen_because(cause, case, max(reach_m, LEAST_RANGE_M)):
            return self.not_observable(cause.text, unseen, TRACKS, range_m=case.scene.range_m)
        return self.supported(cause.text, "nobody such is tracked near", TRACKS, within_m=reach_m)


def _reach_m(cause: CauseClaim, case: Case) -> float:
    """Return how far ahead nobody is where a road is said to be clear; whoever comes towards ego is near sooner."""
    speed = abs(case.driven.course.start_mps) if case.driven.course is not None else 0.0
    reach_m = max(CLEAR_M, CLEAR_SEC * speed)
    return 2 * reach_m if cause.relation is Relation.ONCOMING else reach_m


def _someone(cause: CauseClaim, reach_m: float, case: Case) -> tuple[str, float] | None:
    """Return who is there all the same at the keyframe, and how far ahead, in m; None where nobody is."""
    if cause.relation in (None, Relation.LEAD) and cause.side is None:
        for lead in leads_around(case, (-2, 2)):
            if lead.distance_m < reach_m and fits(cause.user_class, lead.label_class):
                return lead.track_id, lead.distance_m
    kinds, least_m = _where(cause)
    for role in case.scene.during(case.t0, case.t0, kinds):
        ahead_m = case.scene.ahead_m(role.track_id, case.t0)
        near = least_m <= ahead_m < reach_m and fits(cause.user_class, role.label_class)
        if near and cause.side in (None, role.side):
            return role.track_id, ahead_m
    return None


def _where(cause: CauseClaim) -> tuple[tuple[Kind, ...], float]:
    """Return the roles that speak against an absence, and how far ahead they must at least be, in m."""
    if cause.relation is not None and cause.relation in FITTING:
        beside = cause.relation is Relation.ADJACENT
        return FITTING[cause.relation][0], -BEHIND_M if beside else 0.0
    if cause.side is not None:
        return ON_A_SIDE, -BEHIND_M
    return ((), 0.0) if cause.relation is Relation.LEAD else (IN_THE_WAY, 0.0)
