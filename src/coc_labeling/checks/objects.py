"""Claims on other road users against the tracks: whether they are there, on that side, and of that kind."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from coc_labeling.checks.base import TRACKS, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.kinds import TRACKED, fits, near_enough
from coc_labeling.checks.lateral import other_side
from coc_labeling.checks.placing import (
    FITTING,
    is_lead,
    leads_around,
    objects_of,
    passing_side,
    roles_around,
    sides_of_track,
    words_of,
)
from coc_labeling.checks.watching import no_such_track, others_unknown, unseen_because
from coc_labeling.reading.reading import UserClass
from coc_labeling.scene.facts import SeenTrack
from coc_labeling.scene.roles import Kind, Role
from coc_labeling.schema import Relation, Side

NOW_TICKS = (-10, 20)
JUNCTION_M = 50.0
WAITING_M = 45.0  # who goes on foot or on two wheels so near may wait at the kerb
SEEN_M = 40.0  # who is further than this from ego is no road user of a cause without a relation

# Not quite what is said, but near enough to it not to be called wrong.
SIMILAR: dict[Relation, tuple[Kind, ...]] = {
    Relation.CUT_IN: (Kind.LEAD, Kind.ADJACENT, Kind.CROSSING),
    Relation.CROSSING: (Kind.CUT_IN, Kind.ONCOMING, Kind.IN_PATH),
    Relation.ONCOMING: (Kind.CROSSING,),
    Relation.ADJACENT: (),
    Relation.PARKED: (Kind.LEAD, Kind.QUEUE),
}


class RoadUserCheck(Check):
    """A road user that cuts in, crosses, comes towards ego, drives beside it or is parked is there, on that side."""

    name = "road_user"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each critical object but the lead."""
        for cause in objects_of(case):
            if not is_lead(cause):
                yield softer(self._of(cause, case), cause, case).of_cause(cause)

    def _of(self, cause: CauseClaim, case: Case) -> Finding:
        if unknown := others_unknown(case):
            return self.not_observable(cause.text, unknown)
        if cause.user_class in (UserClass.OBJECT, UserClass.ANIMAL) and cause.relation is None:
            return self.not_observable(cause.text, "objects and animals are rarely tracked", TRACKS)
        if cause.track_id is not None and case.scene.track(cause.track_id) is None:
            return self.contradicted(cause.text, no_such_track(cause.track_id), 0.6, TRACKS)
        if cause.relation is None:
            return self._somewhere(cause, case)
        return self._in_relation(cause, cause.relation, case)

    def _in_relation(self, cause: CauseClaim, relation: Relation, case: Case) -> Finding:
        kinds, ticks, severity = FITTING[relation]
        there = [role for role in roles_around(case, kinds, ticks) if cause.track_id in (None, role.track_id)]
        fitting = [role for role in there if fits(cause.user_class, role.label_class)] or [
            role for role in there if near_enough(cause.user_class, role.label_class)
        ]
        if fitting:
            return self._on_side(cause, fitting, case)
        similar = roles_around(case, (*SIMILAR[relation], *kinds), (ticks[0] - 20, ticks[1]))
        similar = [role for role in similar if near_enough(cause.user_class, role.label_class)]
        if cause.side is not None:
            similar = [role for role in similar if role.side in (None, cause.side)]
        words = str(relation).replace("_", " ")
        own_sides = sides_of_track(cause.track_id, case) if cause.track_id is not None else frozenset()
        if cause.side is not None and own_sides == {other_side(cause.side)}:
            reason = f"it says {cause.side}, but track {cause.track_id} is on the {other_side(cause.side)}"
            return self.contradicted(cause.text, reason, 0.7, TRACKS)
        if similar:
            text = f"track {similar[0].track_id} is there, though not {words} ({words_of(similar[0].kind)})"
            return self.not_observable(cause.text, text, TRACKS, distance_m=similar[0].distance_m)
        if _turns(case) and (others := _near(cause, case, JUNCTION_M)):
            text = f"ego turns, and track {others[0].track_id} is near: who is in whose way is not told"
            return self.not_observable(cause.text, text, TRACKS, near_tracks=float(len(others)))
        if cause.user_class in TRACKED and (others := _near(cause, case, WAITING_M)):
            text = f"track {others[0].track_id} is near and may be about to"
            return self.not_observable(cause.text, text, TRACKS, near_tracks=float(len(others)))
        if unseen := unseen_because(cause, case):
            return self.not_observable(cause.text, unseen, TRACKS, range_m=case.scene.range_m)
        reason = f"it names a road user ({words}), but none such is tracked around the keyframe"
        return self.contradicted(cause.text, reason, severity, TRACKS, range_m=case.scene.range_m)

    def _on_side(self, cause: CauseClaim, roles: list[Role], case: Case) -> Finding:
        role = next((role for role in roles if cause.side is None or cause.side in _sides(role, case)), None)
        unclear = next((role for role in roles if not _sides(role, case)), None)
        shown = role or unclear
        if shown is not None:
            text = (
                f"track {shown.track_id} ({shown.label_class}): {words_of(shown.kind)}, {shown.distance_m:.0f} m ahead"
            )
            numbers = {"distance_m": shown.distance_m, "clearance_m": shown.clearance_m, "speed_mps": shown.speed_mps}
            if role is not None:
                return self.supported(cause.text, text, TRACKS, **numbers)
            return self.not_observable(cause.text, f"{text}, on no side", TRACKS, **numbers)
        assert cause.side is not None
        wrong = other_side(cause.side)
        reason = f"it says {cause.side}, but track {roles[0].track_id} ({words_of(roles[0].kind)}) is on the {wrong}"
        return self.contradicted(cause.text, reason, 0.7, TRACKS, distance_m=roles[0].distance_m)

    def _somewhere(self, cause: CauseClaim, case: Case) -> Finding:
        """A road user of whom only its kind, or its side, is said."""
        roles = [
            role
            for role in roles_around(case, Kind, NOW_TICKS)
            if fits(cause.user_class, role.label_class) and cause.track_id in (None, role.track_id)
        ]
        if roles:
            if cause.side is not None and not any(role.side in (None, cause.side) for role in roles):
                reason = f"it says {cause.side}, but track {roles[0].track_id} is on the {other_side(cause.side)}"
                return self.contradicted(cause.text, reason, 0.5, TRACKS, distance_m=roles[0].distance_m)
            return self._on_side(cause, roles, case)
        if seen := _near(cause, case, SEEN_M):
            text = f"track {seen[0].track_id} ({seen[0].label_class}) is near, in no role that matters to ego"
            return self.not_observable(cause.text, text, TRACKS, near_tracks=float(len(seen)))
        if unseen := unseen_because(cause, case):
            return self.not_observable(cause.text, unseen, TRACKS, range_m=case.scene.range_m)
        reason = f"it names a road user ({cause.user_class or 'any'}), but none is tracked within {SEEN_M:.0f} m"
        return self.contradicted(cause.text, reason, 0.55, TRACKS, within_m=SEEN_M)


def _near(cause: CauseClaim, case: Case, within_m: float) -> list[SeenTrack]:
    """Return the tracks around the keyframe that may be meant by their kind."""
    near = case.scene.near(case.t0 + NOW_TICKS[0], case.t0 + NOW_TICKS[1], within_m)
    return [track for track in near if near_enough(cause.user_class, track.label_class)]


def _turns(case: Case) -> bool:
    """Say whether ego turns at a junction, or says so: there roles along its path tell little of right of way."""
    bend = case.driven.bend
    return bend is not None and bend.is_turn


def softer(finding: Finding, cause: CauseClaim, case: Case) -> Finding:
    """Weigh less what only the sentence of a structured label says: it may have been misread."""
    structured = case.label.longitudinal is not None or case.label.lateral is not None
    return replace(finding, severity=finding.severity / 2) if structured and cause.component_id is None else finding


def _sides(role: Role, case: Case) -> frozenset[Side]:
    """Return the sides that somebody may be said to be on: where ego passes it, where it is now, where it is from."""
    if role.kind in (Kind.BESIDE, Kind.IN_PATH):
        passed = passing_side(role.track_id, case)
        if passed is not None:
            return frozenset({passed})
    now = sides_of_track(role.track_id, case)
    return now or (frozenset() if role.side is None else frozenset({role.side}))


class ObjectClassCheck(Check):
    """The kind of a road user that is named is the kind that its track has."""

    name = "object_class"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each critical object whose kind is said and whose track can be told."""
        for cause in objects_of(case):
            classes = self._classes(cause, case)
            if cause.user_class not in (None, UserClass.ANY, UserClass.OBJECT, UserClass.ANIMAL) and classes:
                yield self._of(cause, classes).of_cause(cause)

    def _of(self, cause: CauseClaim, classes: set[str]) -> Finding:
        named, listed = f"{cause.user_class}", " or ".join(sorted(classes))
        if any(fits(cause.user_class, label_class) for label_class in classes):
            return self.supported(cause.text, f"its track is {listed}, it says {named}", TRACKS)
        if any(near_enough(cause.user_class, label_class) for label_class in classes):
            return self.not_observable(cause.text, f"its track is {listed}, it says {named}", TRACKS)
        if classes == {"other_vehicle"}:
            return self.not_observable(cause.text, "the tracks know no kinds", TRACKS)
        return self.contradicted(cause.text, f"it says {named}, but the track is {listed}", 0.5, TRACKS)

    def _classes(self, cause: CauseClaim, case: Case) -> set[str]:
        if cause.track_id is not None and (track := case.scene.track(cause.track_id)) is not None:
            return {track.label_class}
        if is_lead(cause):
            return {lead.label_class for lead in leads_around(case)}
        if cause.relation is None:
            return set()
        kinds, ticks, _ = FITTING[cause.relation]
        sides = (None, cause.side) if cause.side is not None else None
        return {r.label_class for r in roles_around(case, kinds, ticks) if sides is None or r.side in sides}
