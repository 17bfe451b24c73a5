"""Claims on the vehicle ahead against the tracks."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import TRACKS, Case, Check, Finding
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.lateral import OVER
from coc_labeling.checks.placing import (
    AHEAD,
    is_lead,
    leads_around,
    objects_of,
    roles_around,
    words_of,
)
from coc_labeling.checks.watching import SURE_RANGE_M, no_such_track, others_unknown, unseen_because
from coc_labeling.reading.reading import State
from coc_labeling.scene.following import follow_mps2
from coc_labeling.scene.roles import Kind, Lead, Role
from coc_labeling.scene.users import LEAD_RANGE_M
from coc_labeling.schema import Category, Relation
from coc_labeling.schema import LongitudinalDecision as Speed

APPEARS_TICKS = (-5, 40)  # when something like a lead makes a claim less than wrong
SOON_TICKS, FAR_SHARE = 10, 0.85  # who is ahead so soon, or came from beyond that share of the range, may be meant
APART_M = 30.0  # nearer ones matter in any case
FAR_SEC, FAR_M = 6.0, 40.0  # a lead behind which ego has all the room it wants
IRRELEVANT_MPS2 = 0.02  # a lead that calls for less deceleration is none to ego
CLOSING_MPS = 0.5


class LeadCheck(Check):
    """A lead vehicle that is named is there, and near or approached enough to matter."""

    name = "lead"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each lead that is named, or for following one that is not named."""
        leads = [cause for cause in objects_of(case) if is_lead(cause)]
        for cause in leads:
            yield self._there(cause, case).of_cause(cause)
        follows = [claim for claim in case.claims.on_speed if claim.decision is Speed.FOLLOW_LEAD]
        if follows and not leads:
            cited = (cause for cause in case.claims.cited if cause.category is Category.CRITICAL_OBJECT)
            yield self._there(next(cited, _SOMEBODY), case, follows[0].text)

    def _there(self, cause: CauseClaim, case: Case, about: str | None = None) -> Finding:
        about = about or cause.text
        if unknown := others_unknown(case):
            return self.not_observable(about, unknown)
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
            return self.contradicted(about, no_such_track(str(cause.track_id)), 0.6, TRACKS)
        text = f"track {cause.track_id} is not the lead, {lead.track_id} is"
        own = [role for role in roles_around(case, AHEAD, APPEARS_TICKS) if role.track_id == cause.track_id]
        if own and not _changes(case) and all(role.start_tick > case.t0 + SOON_TICKS for role in own):
            later_sec = (min(role.start_tick for role in own) - case.t0) / 10
            reason = f"track {cause.track_id} is ahead in ego's path only {later_sec:.1f} s after the keyframe"
            return self.contradicted(about, reason, 0.55, TRACKS, begins_in_sec=later_sec)
        if own:
            return self.not_observable(about, text, TRACKS, **_numbers(lead))
        return self.contradicted(about, text, 0.2, TRACKS, **_numbers(lead))

    def _nobody(self, about: str, cause: CauseClaim, case: Case) -> Finding:
        scene = case.scene
        seen = [
            r
            for r in roles_around(case, (*AHEAD, Kind.ADJACENT), APPEARS_TICKS)
            if cause.track_id in (None, r.track_id)
        ]
        near = [role for role in seen if _may_be_meant(role, case, changes=_changes(case))]
        if near:
            text = f"nobody drives ahead at the keyframe, but track {near[0].track_id} comes ({words_of(near[0].kind)})"
            return self.not_observable(about, text, TRACKS, distance_m=near[0].distance_m)
        if unseen := unseen_because(cause, case):
            return self.not_observable(about, unseen, TRACKS, range_m=scene.range_m)
        reason = f"it names a vehicle ahead, but none is tracked in ego's path within {scene.range_m:.0f} m"
        later = any(role.kind is not Kind.ADJACENT for role in seen)
        sure = scene.range_m >= SURE_RANGE_M and scene.observed_at(case.t0)
        severity = 0.8 if sure and not later else 0.55
        return self.contradicted(about, reason, severity, TRACKS, range_m=scene.range_m)

    def _relevant(self, about: str, lead: Lead, case: Case) -> Finding:
        numbers = _numbers(lead)
        slows = case.driven.course is not None and case.driven.course.fall_mps(4.0) >= 1.0
        far = lead.time_gap_sec > FAR_SEC and lead.distance_m > FAR_M and lead.closing_mps < -CLOSING_MPS
        if far and slows:
            reason = f"the vehicle ahead is {lead.distance_m:.0f} m away and faster than ego, no reason to slow down"
            return self.contradicted(about, reason, 0.2, TRACKS, **numbers)
        speed = lead.speed_mps + lead.closing_mps
        if lead.distance_m > APART_M and follow_mps2(lead, speed) < IRRELEVANT_MPS2:
            reason = f"the vehicle ahead is {lead.distance_m:.0f} m away, at ego's speed no reason for anything"
            return self.contradicted(about, reason, 0.45, TRACKS, **numbers)
        text = f"track {lead.track_id} is {lead.distance_m:.0f} m ahead, ego {lead.closing_mps:+.1f} m/s faster"
        return self.supported(about, text, TRACKS, **numbers)


def _changes(case: Case) -> bool:
    """Say whether ego changes lanes, or is said to move over: then who is on the lane to come may be meant."""
    sideways = case.driven.sideways
    return (sideways is not None and bool(sideways.changes)) or any(c.decision in OVER for c in case.claims.decisions)


def _may_be_meant(role: Role, case: Case, *, changes: bool) -> bool:
    """Say whether somebody who is no lead yet may be meant: soon ahead, beyond the range, or on the lane to come."""
    if role.kind is Kind.ADJACENT:
        return changes and case.scene.ahead_m(role.track_id, case.t0) > 0.0
    return role.start_tick <= case.t0 + SOON_TICKS or role.distance_m >= FAR_SHARE * LEAD_RANGE_M


_SOMEBODY = CauseClaim(Category.CRITICAL_OBJECT, Relation.LEAD, None, None, (), None, "a lead vehicle")


def _numbers(lead: Lead) -> dict[str, float]:
    return {
        "distance_m": lead.distance_m,
        "lead_mps": lead.speed_mps,
        "closing_mps": lead.closing_mps,
        "lead_acceleration_mps2": lead.acceleration_mps2,
    }


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
                    own = self.supported(about, f"the vehicle ahead is {state}", TRACKS, **_numbers(leads[0]))
                    yield own.of_cause(cause)
                elif verdicts and len(verdicts) == len(leads):
                    reason = f"it says that the vehicle ahead is {state}, but it drives {leads[0].speed_mps:.1f} m/s"
                    reason += f", {leads[0].acceleration_mps2:+.1f} m/s2"
                    own = self.contradicted(about, reason, 0.45, TRACKS, **_numbers(leads[0]))
                    yield own.of_cause(cause)


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
