"""Claims on other road users against the tracks: whether they are there, on that side, of that kind, doing that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from coc_labeling.checks.base import TRACKS, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.kinds import TRACKED, fits, near_enough
from coc_labeling.checks.lateral import OVER, other_side
from coc_labeling.reading.reading import State, UserClass
from coc_labeling.scene.roles import Kind, Lead, Role
from coc_labeling.scene.users import LEAD_RANGE_M
from coc_labeling.schema import Category, Relation, Side
from coc_labeling.schema import LongitudinalDecision as Speed
from driving_clips.ego_motion import TICK_SEC

LEAD_TICKS = (-5, 10)  # when a lead has to be there, from the keyframe
APPEARS_TICKS = (-20, 40)  # when something like one makes a claim less than wrong
NOW_TICKS = (-10, 20)
SOON_TICKS = 10
FAR_SHARE = 0.85
NO_RANGE_M = 15.0
LEAST_RANGE_M = 30.0  # where others are seen no further, one that is not seen may be there
SIDE_TICKS = (-5, 10)
ASIDE_M = 0.8  # nearer to the middle of the path is no side
SEEN_M = 40.0  # who is further than this from ego is no road user of a cause without a relation
FAR_SEC, FAR_M = 6.0, 40.0  # a lead behind which ego has all the room it wants
CLOSING_MPS = 0.5
CLEAR_SEC, CLEAR_M = 1.5, 12.0  # nobody is nearer on a road that is clear

# What fits a relation, and when it has to hold, in ticks from the keyframe.
FITTING: dict[Relation, tuple[tuple[Kind, ...], tuple[int, int], float]] = {
    Relation.CUT_IN: ((Kind.CUT_IN,), (-30, 40), 0.7),
    Relation.CROSSING: ((Kind.CROSSING, Kind.ENTERING), (-20, 60), 0.7),
    Relation.ONCOMING: ((Kind.ONCOMING,), (-10, 50), 0.65),
    Relation.ADJACENT: ((Kind.ADJACENT, Kind.BESIDE, Kind.CUT_IN, Kind.CUT_OUT), (-20, 40), 0.5),
    Relation.PARKED: ((Kind.BESIDE, Kind.IN_PATH), (-10, 60), 0.65),
}
AHEAD = (Kind.LEAD, Kind.QUEUE, Kind.IN_PATH, Kind.CUT_IN, Kind.CUT_OUT)
# Not quite what is said, but near enough to it not to be called wrong.
SIMILAR: dict[Relation, tuple[Kind, ...]] = {
    Relation.CUT_IN: (Kind.LEAD, Kind.ADJACENT, Kind.CROSSING),
    Relation.CROSSING: (Kind.CUT_IN, Kind.ONCOMING, Kind.IN_PATH),
    Relation.ONCOMING: (Kind.CROSSING,),
    Relation.ADJACENT: (),
    Relation.PARKED: (Kind.LEAD, Kind.QUEUE),
}


def objects_of(case: Case) -> list[CauseClaim]:
    """Return the critical objects that a label names."""
    return [cause for cause in case.claims.causes if cause.category is Category.CRITICAL_OBJECT]


def is_lead(cause: CauseClaim) -> bool:
    """Say whether a cause is the vehicle ahead."""
    return cause.relation is Relation.LEAD


def leads_around(case: Case, ticks: tuple[int, int] = LEAD_TICKS) -> list[Lead]:
    """Return the leads at some ticks from the keyframe, those nearest to the keyframe first."""
    found = ((abs(tick), case.scene.lead_at(case.t0 + tick)) for tick in range(ticks[0], ticks[1] + 1))
    return [lead for _, lead in sorted(((n, lead) for n, lead in found if lead is not None), key=lambda pair: pair[0])]


def roles_around(case: Case, kinds: Iterable[Kind], ticks: tuple[int, int]) -> list[Role]:
    """Return the roles of some kinds that hold at some ticks from the keyframe."""
    return case.scene.during(case.t0 + ticks[0], case.t0 + ticks[1], kinds)


class LeadCheck(Check):
    """A lead vehicle that is named is there, and near or approached enough to matter."""

    name = "lead"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each lead that is named, or for following one that is not named."""
        leads = [cause for cause in objects_of(case) if is_lead(cause)]
        for cause in leads:
            yield self._there(cause, case)
        follows = [claim for claim in case.claims.on_speed if claim.decision is Speed.FOLLOW_LEAD]
        if follows and not leads:
            whom = next((c for c in case.claims.cited if c.category is Category.CRITICAL_OBJECT), None)
            yield self._there(whom if whom is not None else _SOMEBODY, case, follows[0].text)

    def _there(self, cause: CauseClaim, case: Case, about: str | None = None) -> Finding:
        about, scene = about or cause.text, case.scene
        if not scene.has_tracks:
            return self.not_observable(about, _no_tracks(case))
        leads = leads_around(case)
        own = [lead for lead in leads if cause.track_id in (None, lead.track_id)]
        if own:
            return self._relevant(about, own[0], case)
        if leads:
            return self._other_track(about, cause, leads[0], case)
        return self._nobody(about, cause, case)

    def _other_track(self, about: str, cause: CauseClaim, lead: Lead, case: Case) -> Finding:
        """Somebody is ahead, but not the track that the label names."""
        if case.scene.track(str(cause.track_id)) is None:
            return self.contradicted(about, f"there is no track {cause.track_id!r} in this clip", 0.6, TRACKS)
        text = f"track {cause.track_id} is not the lead, {lead.track_id} is"
        if any(role.track_id == cause.track_id for role in roles_around(case, AHEAD, APPEARS_TICKS)):
            return self.not_observable(about, text, TRACKS, **_numbers(lead))
        return self.contradicted(about, text, 0.2, TRACKS, **_numbers(lead))

    def _nobody(self, about: str, cause: CauseClaim, case: Case) -> Finding:
        scene = case.scene
        seen = [
            r
            for r in roles_around(case, (*AHEAD, Kind.ADJACENT), APPEARS_TICKS)
            if cause.track_id in (None, r.track_id)
        ]
        changes = case.driven.sideways is not None and bool(case.driven.sideways.changes)
        changes = changes or any(claim.decision in OVER for claim in case.claims.decisions)
        near = [role for role in seen if _may_be_meant(role, case, changes=changes)]
        if near:
            text = f"nobody drives ahead at the keyframe, but track {near[0].track_id} comes ({_words(near[0].kind)})"
            return self.not_observable(about, text, TRACKS, distance_m=near[0].distance_m)
        if scene.range_m < NO_RANGE_M:
            return self.not_observable(about, f"others are seen up to {scene.range_m:.0f} m only", TRACKS)
        reason = f"it names a vehicle ahead, but none is tracked in ego's path within {scene.range_m:.0f} m"
        later = any(role.kind is not Kind.ADJACENT for role in seen)
        severity = 0.55 if later or scene.range_m < LEAST_RANGE_M else 0.8
        return self.contradicted(about, reason, severity, TRACKS, range_m=scene.range_m)

    def _relevant(self, about: str, lead: Lead, case: Case) -> Finding:
        numbers = _numbers(lead)
        slows = case.driven.course is not None and case.driven.course.fall_mps(4.0) >= 1.0
        far = lead.time_gap_sec > FAR_SEC and lead.distance_m > FAR_M and lead.closing_mps < -CLOSING_MPS
        if far and slows:
            reason = f"the vehicle ahead is {lead.distance_m:.0f} m away and faster than ego, no reason to slow down"
            return self.contradicted(about, reason, 0.2, TRACKS, **numbers)
        text = f"track {lead.track_id} is {lead.distance_m:.0f} m ahead, ego {lead.closing_mps:+.1f} m/s faster"
        return self.supported(about, text, TRACKS, **numbers)


def _may_be_meant(role: Role, case: Case, *, changes: bool) -> bool:
    """Say whether somebody who is no lead yet may be meant: soon ahead, beyond the range, or on the lane to come."""
    if role.kind is Kind.ADJACENT:
        return changes
    return role.start_tick <= case.t0 + SOON_TICKS or role.distance_m >= FAR_SHARE * LEAD_RANGE_M


_SOMEBODY = CauseClaim(Category.CRITICAL_OBJECT, Relation.LEAD, None, None, (), None, "a lead vehicle")


def _no_tracks(case: Case) -> str:
    if case.scene.problems:
        return "the tracks cannot be relied on"
    return "there are no obstacle tracks"


def _numbers(lead: Lead) -> dict[str, float]:
    return {
        "distance_m": lead.distance_m,
        "lead_mps": lead.speed_mps,
        "closing_mps": lead.closing_mps,
        "lead_acceleration_mps2": lead.acceleration_mps2,
    }


class RoadUserCheck(Check):
    """A road user that cuts in, crosses, comes towards ego, drives beside it or is parked is there, on that side."""

    name = "road_user"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each critical object but the lead."""
        for cause in objects_of(case):
            if is_lead(cause):
                continue
            if not case.scene.has_tracks:
                yield self.not_observable(cause.text, _no_tracks(case))
            elif cause.user_class in (UserClass.OBJECT, UserClass.ANIMAL) and cause.relation is None:
                yield self.not_observable(cause.text, "objects and animals are rarely tracked", TRACKS)
            elif cause.track_id is not None and case.scene.track(cause.track_id) is None:
                reason = f"there is no track {cause.track_id!r} in this clip"
                yield self.contradicted(cause.text, reason, 0.6, TRACKS)
            elif cause.relation is None:
                yield softer(self._somewhere(cause, case), cause, case)
            else:
                yield softer(self._in_relation(cause, cause.relation, case), cause, case)

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
            text = f"track {similar[0].track_id} is there, though not {words} ({_words(similar[0].kind)})"
            return self.not_observable(cause.text, text, TRACKS, distance_m=similar[0].distance_m)
        if not _would_be_seen(cause, case):
            return self.not_observable(cause.text, "tracks of this clip would not show it", TRACKS)
        reason = f"it names a road user ({words}), but none such is tracked around the keyframe"
        return self.contradicted(cause.text, reason, severity, TRACKS, range_m=case.scene.range_m)

    def _on_side(self, cause: CauseClaim, roles: list[Role], case: Case) -> Finding:
        role = next((role for role in roles if cause.side in (None, role.side)), None)
        if role is None:
            role = next((role for role in roles if cause.side in sides_of_track(role.track_id, case)), None)
        unclear = next((role for role in roles if role.side is None), None)
        shown = role or unclear
        if shown is not None:
            text = f"track {shown.track_id} ({shown.label_class}): {_words(shown.kind)}, {shown.distance_m:.0f} m ahead"
            numbers = {"distance_m": shown.distance_m, "clearance_m": shown.clearance_m, "speed_mps": shown.speed_mps}
            if role is not None:
                return self.supported(cause.text, text, TRACKS, **numbers)
            return self.not_observable(cause.text, f"{text}, on no side", TRACKS, **numbers)
        assert cause.side is not None
        wrong = other_side(cause.side)
        reason = f"it says {cause.side}, but track {roles[0].track_id} ({_words(roles[0].kind)}) is on the {wrong}"
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
        near = case.scene.near(case.t0 + NOW_TICKS[0], case.t0 + NOW_TICKS[1], SEEN_M)
        if seen := [track for track in near if near_enough(cause.user_class, track.label_class)]:
            text = f"track {seen[0].track_id} ({seen[0].label_class}) is near, in no role that matters to ego"
            return self.not_observable(cause.text, text, TRACKS, near_tracks=float(len(seen)))
        if not _would_be_seen(cause, case):
            return self.not_observable(cause.text, "tracks of this clip would not show it", TRACKS)
        reason = f"it names a road user ({cause.user_class or 'any'}), but none is tracked within {SEEN_M:.0f} m"
        return self.contradicted(cause.text, reason, 0.55, TRACKS, within_m=SEEN_M)


def softer(finding: Finding, cause: CauseClaim, case: Case) -> Finding:
    """Weigh less what only the sentence of a structured label says: it may have been misread."""
    structured = case.label.longitudinal is not None or case.label.lateral is not None
    return replace(finding, severity=finding.severity / 2) if structured and cause.component_id is None else finding


def sides_of_track(track_id: str, case: Case) -> frozenset[Side]:
    """Return the sides of ego's path that a track is on around the keyframe."""
    users = case.scene.users
    if users is None:
        return frozenset()
    first = max(case.t0 + SIDE_TICKS[0] - case.scene.first_tick, 0)
    own = users.d[users.tracks.track_id == track_id, first : case.t0 + SIDE_TICKS[1] - case.scene.first_tick]
    own = own[np.isfinite(own)]
    sides = {Side.LEFT: bool((own > ASIDE_M).any()), Side.RIGHT: bool((own < -ASIDE_M).any())}
    return frozenset(side for side, there in sides.items() if there)


def _words(kind: Kind) -> str:
    return str(kind).replace("_", " ")


def _would_be_seen(cause: CauseClaim, case: Case) -> bool:
    """Say whether the absence of a track tells something: a radar's tracks have one class and see no pedestrian."""
    if case.scene.range_m < LEAST_RANGE_M or cause.user_class in (UserClass.OBJECT, UserClass.ANIMAL):
        return False
    classes = {track.label_class for track in case.scene.tracks}
    return classes != {"other_vehicle"} or cause.user_class not in TRACKED


class ObjectClassCheck(Check):
    """The kind of a road user that is named is the kind that its track has."""

    name = "object_class"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each critical object whose kind is said and whose track can be told."""
        for cause in objects_of(case):
            classes = self._classes(cause, case)
            if cause.user_class in (None, UserClass.ANY, UserClass.OBJECT, UserClass.ANIMAL) or not classes:
                continue
            named = f"{cause.user_class}"
            if any(fits(cause.user_class, label_class) for label_class in classes):
                yield self.supported(cause.text, f"its track is {_listed(classes)}, it says {named}", TRACKS)
            elif any(near_enough(cause.user_class, label_class) for label_class in classes):
                yield self.not_observable(cause.text, f"its track is {_listed(classes)}, it says {named}", TRACKS)
            elif classes == {"other_vehicle"}:
                yield self.not_observable(cause.text, "the tracks know no kinds", TRACKS)
            else:
                reason = f"it says {named}, but the track is {_listed(classes)}"
                yield self.contradicted(cause.text, reason, 0.5, TRACKS)

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


def _listed(classes: set[str]) -> str:
    return " or ".join(sorted(classes))


class ObjectStateCheck(Check):
    """What the vehicle ahead is said to do, it does."""

    name = "object_state"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each state of a lead that is there."""
        for cause in objects_of(case):
            if not is_lead(cause):
                continue
            leads = [lead for lead in leads_around(case, (-5, 30)) if cause.track_id in (None, lead.track_id)]
            for state in dict.fromkeys(cause.states):
                verdicts = [verdict for lead in leads if (verdict := _is(state, lead)) is not None]
                about = f"{cause.text}: {state}"
                if any(verdicts):
                    yield self.supported(about, f"the vehicle ahead is {state}", TRACKS, **_numbers(leads[0]))
                elif verdicts and len(verdicts) == len(leads):
                    reason = f"it says that the vehicle ahead is {state}, but it drives {leads[0].speed_mps:.1f} m/s"
                    reason += f", {leads[0].acceleration_mps2:+.1f} m/s2"
                    yield self.contradicted(about, reason, 0.45, TRACKS, **_numbers(leads[0]))


def _is(state: State, lead: Lead) -> bool | None:
    """Say whether a lead is in a state; None where that is a matter of opinion."""
    match state:
        case State.STOPPED:
            return True if lead.is_stopped or lead.speed_mps < 1.0 else False if lead.speed_mps > 3.0 else None
        case State.QUEUED:
            return True if lead.speed_mps < 3.0 else False if lead.speed_mps > 8.0 else None
        case State.SLOWING:
            slower = lead.acceleration_mps2 < -0.2
            return True if slower else False if lead.acceleration_mps2 > 0.7 else None
        case State.SLOWER:
            return True if lead.closing_mps > 0.0 else False if lead.closing_mps < -2.0 else None
        case State.ACCELERATING:
            return True if lead.acceleration_mps2 > 0.2 else False if lead.acceleration_mps2 < -0.7 else None
        case State.MOVING:
            return True if lead.speed_mps > 1.0 else False if lead.is_stopped else None
    return None


class AbsentCheck(Check):
    """A road that is said to be clear has nobody near ahead."""

    name = "absent"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each road user, or anybody, that is said not to be there."""
        # A free lane that ego changes to is not the one that it is in.
        moves_over = any(claim.decision in OVER for claim in case.claims.decisions)
        for cause in case.claims.absent:
            vague = moves_over and cause.relation is None
            if cause.category not in (Category.CRITICAL_OBJECT, Category.LANE) or vague:
                continue
            if not case.scene.has_tracks:
                yield self.not_observable(cause.text, _no_tracks(case))
                continue
            found = self._someone(cause, case)
            if found is None:
                yield self.supported(cause.text, "nobody such is tracked near ahead", TRACKS)
            else:
                track_id, distance = found
                reason = f"it says that there is none, but track {track_id} is {distance:.0f} m ahead"
                yield self.contradicted(cause.text, reason, 0.6, TRACKS, distance_m=distance)

    def _someone(self, cause: CauseClaim, case: Case) -> tuple[str, float] | None:
        speed = abs(case.driven.course.start_mps) if case.driven.course is not None else 0.0
        reach = max(CLEAR_M, CLEAR_SEC * speed)
        if cause.relation in (None, Relation.LEAD) and cause.side is None:
            for lead in leads_around(case, (-2, 2)):
                if lead.distance_m < reach and fits(cause.user_class, lead.label_class):
                    return lead.track_id, lead.distance_m
        kinds = (Kind.CROSSING, Kind.ENTERING, Kind.IN_PATH)
        if cause.relation is not None and cause.relation in FITTING:
            kinds = FITTING[cause.relation][0]  # type: ignore[assignment]
        elif cause.relation is Relation.LEAD or cause.side is not None:
            return None
        for role in case.scene.during(case.t0, case.t0, kinds):
            on_side = cause.side is None or role.side is cause.side
            if (
                on_side
                and role.nearest_m >= 0.0
                and role.distance_m < reach
                and fits(cause.user_class, role.label_class)
            ):
                return role.track_id, role.distance_m
        return None


def first_seen_sec(case: Case, tick: int) -> float:
    """Return a tick as seconds from the keyframe."""
    return (tick - case.t0) * TICK_SEC
