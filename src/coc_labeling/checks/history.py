"""Causes come from what could be seen up to the keyframe, never from what came after it."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import TRACKS, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.kinds import fits
from coc_labeling.checks.placing import (
    AHEAD,
    FITTING,
    first_distance_m,
    first_seen_sec,
    is_lead,
    leads_around,
    objects_of,
    roles_around,
)
from coc_labeling.checks.watching import others_unknown
from coc_labeling.scene.roles import Kind, Role
from coc_labeling.schema import Relation

LATE_TICKS = 5  # what appears by then was in sight as the decision was taken
# A cut-in begins for the tracks when it reaches the path; the eye sees it move over before. Who crosses is seen coming.
CUT_IN_TICKS = 15
FORESEEN_TICKS = {Kind.CROSSING: 50, Kind.ENTERING: 50, Kind.ONCOMING: 50}
AT_RANGE_M, AT_RANGE_TICKS = 50.0, 15  # who is first seen so far away was in sight of a driver before
LOOK_TICKS = (-30, 100)


class HistoryCheck(Check):
    """No cause is known from the future only."""

    name = "history"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each cited cause that the first stage did not list, or that appears too late."""
        for cause in case.claims.cited:
            if case.unlisted is not None and cause.component_id is not None:
                if cause.component_id in case.unlisted:
                    reason = "the stage that saw the history only did not list it"
                    yield self.contradicted(cause.text, reason, 0.8)
                else:
                    yield self.supported(
                        cause.text, "it was listed by the stage that saw the history only", frozenset()
                    )
        yield from self._emerged(case)
        if others_unknown(case) is None:
            for cause in objects_of(case):
                if cause.cited:
                    yield from (finding.of_cause(cause) for finding in self._in_sight(cause, case))

    def _emerged(self, case: Case) -> Iterator[Finding]:
        """A sentence that tells what came into sight only after the keyframe as its cause."""
        emerged = case.label.emerged_after
        if emerged is None or emerged.relation is None:
            return
        for cause in case.claims.cited:
            same = (cause.category, cause.relation) == (emerged.category, emerged.relation)
            if cause.component_id is None and same and emerged.side in (None, cause.side):
                reason = "the label itself says that it came into sight only after the keyframe"
                yield self.contradicted(cause.text, reason, 0.6)

    def _in_sight(self, cause: CauseClaim, case: Case) -> Iterator[Finding]:
        roles = _roles_of(cause, case)
        if not roles:
            yield from self._named_track(cause, case)
            return
        cut_in = cause.relation is Relation.CUT_IN
        latest = min(roles, key=lambda role: _late(role, case, cut_in=cut_in))
        late = _late(latest, case, cut_in=cut_in)
        numbers = {
            "begins_in_sec": first_seen_sec(case, latest.start_tick),
            "first_seen_in_sec": first_seen_sec(case, latest.first_seen_tick),
        }
        if late <= 0:
            yield self.supported(cause.text, f"track {latest.track_id} was in sight", TRACKS, **numbers)
        elif (
            cause.relation is Relation.PARKED
            and late <= AT_RANGE_TICKS
            and first_distance_m(latest.track_id, case) >= AT_RANGE_M
        ):
            text = f"track {latest.track_id} comes into range, where a driver may have seen it before"
            yield self.not_observable(cause.text, text, TRACKS, **numbers)
        elif latest.first_seen_tick > case.t0 + LATE_TICKS:
            reason = f"track {latest.track_id} is first seen {numbers['first_seen_in_sec']:.1f} s after the keyframe"
            yield self.contradicted(cause.text, reason, 0.75, TRACKS, **numbers)
        else:
            words = str(latest.kind).replace("_", " ")
            reason = (
                f"track {latest.track_id} becomes so ({words}) only {numbers['begins_in_sec']:.1f} s after the keyframe"
            )
            yield self.contradicted(cause.text, reason, 0.6, TRACKS, **numbers)

    def _named_track(self, cause: CauseClaim, case: Case) -> Iterator[Finding]:
        """A track that the label names, in no role that fits: it must at least have been seen by then."""
        track = None if cause.track_id is None else case.scene.track(cause.track_id)
        if track is not None and track.first_tick > case.t0 + LATE_TICKS:
            seen = first_seen_sec(case, track.first_tick)
            reason = f"track {track.track_id} is first seen {seen:.1f} s after the keyframe"
            yield self.contradicted(cause.text, reason, 0.75, TRACKS, first_seen_in_sec=seen)


def _late(role: Role, case: Case, *, cut_in: bool) -> int:
    """Return by how many ticks a role comes too late; 0 or less where it does not."""
    late = role.first_seen_tick - case.t0 - LATE_TICKS
    allowed = CUT_IN_TICKS if cut_in else FORESEEN_TICKS.get(role.kind)
    return late if allowed is None else max(late, role.start_tick - case.t0 - allowed)


def _roles_of(cause: CauseClaim, case: Case) -> list[Role]:
    """Return the roles that a cause may mean; the one in sight first counts."""
    if is_lead(cause):
        if any(cause.track_id in (None, lead.track_id) for lead in leads_around(case, (-5, LATE_TICKS))):
            return []  # there at the keyframe
        kinds: tuple[Kind, ...] = AHEAD
    elif cause.relation is not None and cause.relation is not Relation.ADJACENT:
        kinds = FITTING[cause.relation][0]
    elif cause.track_id is not None:
        kinds = tuple(Kind)
    else:
        return []
    found = _of_kinds(kinds, cause, case)
    if not found and cause.relation is Relation.CUT_IN:
        # Not seen as one, but who becomes the lead later has not cut in before.
        leads = _of_kinds((Kind.LEAD,), cause, case)
        found = [role for role in leads if role.start_tick > case.t0 + LOOK_TICKS[0]]
    return found


def _of_kinds(kinds: tuple[Kind, ...], cause: CauseClaim, case: Case) -> list[Role]:
    return [
        role
        for role in roles_around(case, kinds, LOOK_TICKS)
        if cause.track_id in (None, role.track_id)
        and (cause.side is None or role.side in (None, cause.side))
        and fits(cause.user_class, role.label_class)
    ]
