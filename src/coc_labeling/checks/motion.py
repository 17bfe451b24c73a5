"""Claims on speed against ego's speed: whether a stop is one, and ego brakes where it is said to brake."""

import re
from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import EGO, Case, Check, Finding
from coc_labeling.checks.claims import DecisionClaim
from coc_labeling.checks.driven import STANDING_MPS, DrivenFacts, SpeedCourse
from coc_labeling.reading.reading import Motion
from coc_labeling.schema import LongitudinalDecision as Speed
from driving_clips.ego_motion import TICK_SEC

NOTABLE_MPS = 0.5  # a smaller change of speed is none that a person would tell
CLEAR_MPS = 1.0  # a change of speed that cannot be overlooked
FAR_MPS = 2.5  # what ego gains who neither gives way nor holds back
NONE_MPS = 0.3  # at most so much of a change is none
SOON_SEC, LATER_SEC = 4.0, 6.0
KEPT_SHARE, LOST_SHARE = 0.15, 0.4  # of the speed: less is keeping it, more is not
STOPS_SEC = 5.0
LATEST_STOP_SEC, HARDEST_STOP_MPS2 = 9.0, 2.5  # a stop that a label means is over by then, with no harder braking
DRIVES_MPS = 2.0  # who is slower than this may be about to stand or to go
# Decisions of somebody who drives on: what the others are for may be done standing.
MOVING = frozenset({Speed.TRACK_SPEED, Speed.OVERTAKE, Speed.ADAPT_SPEED})
_STOP_SEVERITY = ((1.0, 0.25), (2.0, 0.5), (float("inf"), 0.85))  # up to so many m/s: people call a crawl a stop
_WANTED = re.compile(r"\b(?:set|wanted|target|desired|cruis\w+|resume)\b")  # a speed that ego may still have to reach
MOVING_MOTIONS = frozenset({Motion.ACCELERATE, Motion.KEEP_SPEED})
STANDING_MOTIONS = frozenset({Motion.STOP, Motion.STAND})


def claims_stop(claim: DecisionClaim) -> bool:
    """Say whether a claim is that ego comes to stand, or stands."""
    # A sentence that has a stop without coming to one prepares for it.
    return claim.motion in STANDING_MOTIONS or (claim.structured and claim.decision is Speed.STOP)


def claims_moving(claim: DecisionClaim) -> bool:
    """Say whether a claim is that ego drives."""
    return claim.motion in MOVING_MOTIONS or (claim.motion is None and claim.decision in MOVING)


def _needed_mps2(driven: DrivenFacts) -> float:
    """Return how hard ego would have to brake at the clip's end to stand as soon after the keyframe as stops do."""
    if driven.window is None:
        return 0.0
    window = driven.window
    gone_sec = (len(window.ego) - 1 - window.row) * TICK_SEC
    left_sec = max(LATEST_STOP_SEC - gone_sec, TICK_SEC)
    return float(abs(window.ego.longitudinal_speed[-1]) / left_sec)


class StopCheck(Check):
    """A stop that is claimed is one: ego comes below 0.5 m/s, within the window or in a braking that it cuts."""

    name = "stop"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield one finding for all that says that ego stops."""
        driven = case.driven
        stops = [claim for claim in case.claims.on_speed if claims_stop(claim)]
        if not stops:
            return
        about, numbers = stops[0].text, {"slowest_mps": driven.slowest_mps}
        if driven.stands_in_sec is not None and driven.stands_in_sec > LATEST_STOP_SEC:
            reason = f"it says that ego stops, but ego stands only {driven.stands_in_sec:.1f} s after the keyframe"
            yield self.contradicted(about, reason, 0.55, EGO, **numbers, stands_in_sec=driven.stands_in_sec)
            return
        if driven.slowest_mps <= STANDING_MPS:
            stood = driven.course is not None and abs(driven.course.start_mps) <= STANDING_MPS
            text = "ego stands" if stood else "ego comes to stand"
            yield self.supported(about, text, EGO, **numbers, **_stands_in(driven))
        elif driven.complete:
            reason = f"it says that ego stops, but ego keeps moving, never slower than {driven.slowest_mps:.1f} m/s"
            severity = next(severity for mps, severity in _STOP_SEVERITY if driven.slowest_mps <= mps)
            yield self.contradicted(about, reason, severity, EGO, **numbers)
        elif (needed := _needed_mps2(driven)) > HARDEST_STOP_MPS2:
            reason = f"it says that ego stops, but at the clip's end it would have to brake by {needed:.1f} m/s2"
            yield self.contradicted(about, reason, 0.6, EGO, **numbers, needed_mps2=needed)
        else:
            yield self.not_observable(about, "the clip ends before ego would stand", EGO, **numbers)


def _stands_in(driven: DrivenFacts) -> dict[str, float]:
    stands = driven.course.stands_in_sec() if driven.course is not None else None
    return {} if stands is None else {"stands_in_sec": stands}


class SpeedCheck(Check):
    """Every other claim on speed against how ego's speed goes from the keyframe on."""

    name = "speed"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each kind of claim, once."""
        driven, seen = case.driven, set[tuple[Motion | None, Speed | None]]()
        stops = any(claims_stop(claim) for claim in case.claims.on_speed)
        stands = driven.complete and driven.fastest_mps < STANDING_MPS
        moves = [claim for claim in case.claims.on_speed if claims_moving(claim)]
        if stands and (told := [c for c in moves if not stops or c.structured]):
            reason = "it says that ego drives on, but ego stands still throughout"
            yield self.contradicted(told[0].text, reason, 0.85, EGO, fastest_mps=driven.fastest_mps)
            return
        if driven.course is None:
            return
        for claim in case.claims.on_speed:
            decision = claim.decision if isinstance(claim.decision, Speed) else None
            kind = (claim.motion, None if claim.motion is not None else decision)
            if kind in seen or claims_stop(claim):
                continue
            seen.add(kind)
            yield from self._of(claim, driven, driven.course, later=claim.part > 0 or stops)

    def _of(self, claim: DecisionClaim, driven: DrivenFacts, course: SpeedCourse, *, later: bool) -> Iterator[Finding]:
        """Yield what is found about one claim; ``later`` ones may be about a part of the window only."""
        match claim.motion or claim.decision:
            case Motion.DECELERATE:
                yield self._slows(claim, driven, course, later=later)
            case Motion.ACCELERATE:
                yield self._speeds_up(claim, driven, course, later=later)
            case Motion.KEEP_SPEED if not later:
                yield self._keeps(claim, course)
            case Motion.REVERSE:
                yield self._reverses(claim, course)
            case Speed.TRACK_SPEED:
                yield self._tracks_speed(claim, course)
            case Speed.ADAPT_SPEED | Speed.YIELD:
                yield self._holds_back(claim, course)
            case Speed.OVERTAKE:
                yield self._overtakes(claim, course)

    def _slows(self, claim: DecisionClaim, driven: DrivenFacts, course: SpeedCourse, *, later: bool) -> Finding:
        fall, rise = course.fall_mps(SOON_SEC), course.rise_mps(SOON_SEC)
        whole = course.fall_mps(LATER_SEC)
        numbers = {"falls_mps": fall, "rises_mps": rise, "start_mps": course.start_mps}
        if fall >= NOTABLE_MPS and (later or course.change_mps(SOON_SEC / 2) < CLEAR_MPS):
            return self.supported(claim.text, f"ego's speed falls by {fall:.1f} m/s", EGO, **numbers)
        if abs(course.start_mps) < STANDING_MPS and rise < NOTABLE_MPS:
            return self.not_observable(claim.text, "ego stands at the keyframe, and cannot get slower", EGO, **numbers)
        against = whole < NONE_MPS if later else fall < max(NONE_MPS, rise / 2)
        if against and driven.whole and rise >= CLEAR_MPS:
            reason = f"it says that ego slows down, but ego gets {rise:.1f} m/s faster"
            return self.contradicted(claim.text, reason, 0.8, EGO, **numbers)
        if against and driven.whole and whole < NONE_MPS:
            reason = f"it says that ego slows down, but ego keeps {course.start_mps:.1f} m/s"
            held = claim.decision in (Speed.ADAPT_SPEED, Speed.YIELD)  # a low speed that is held
            return self.contradicted(claim.text, reason, 0.35 if held else 0.6, EGO, **numbers)
        return self.not_observable(claim.text, f"ego's speed falls by {fall:.1f} m/s only", EGO, **numbers)

    def _speeds_up(self, claim: DecisionClaim, driven: DrivenFacts, course: SpeedCourse, *, later: bool) -> Finding:
        fall, rise = course.fall_mps(SOON_SEC), course.rise_mps(SOON_SEC)
        whole = course.rise_mps(LATER_SEC)
        numbers = {"rises_mps": rise, "falls_mps": fall, "start_mps": course.start_mps}
        slower = -course.change_mps(SOON_SEC / 2)
        if rise >= NOTABLE_MPS and (later or slower < CLEAR_MPS):
            return self.supported(claim.text, f"ego's speed rises by {rise:.1f} m/s", EGO, **numbers)
        if claim.decision is Speed.TRACK_SPEED and _WANTED.search(claim.text.lower()) and fall < 2.0:
            return self.not_observable(claim.text, "ego may have its own speed already", EGO, **numbers)
        if later and abs(float(course.mps[-1])) < STANDING_MPS:
            return self.not_observable(claim.text, "ego still stands at the window's end", EGO, **numbers)
        against = whole < NONE_MPS if later else rise < max(NONE_MPS, fall / 2)
        if against and driven.whole and fall >= CLEAR_MPS:
            reason = f"it says that ego accelerates, but ego gets {fall:.1f} m/s slower"
            return self.contradicted(claim.text, reason, 0.8, EGO, **numbers)
        if against and driven.whole and whole < NONE_MPS:
            reason = f"it says that ego accelerates, but ego keeps {course.start_mps:.1f} m/s"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers)
        return self.not_observable(claim.text, f"ego's speed rises by {rise:.1f} m/s only", EGO, **numbers)

    def _keeps(self, claim: DecisionClaim, course: SpeedCourse) -> Finding:
        change = course.change_mps(SOON_SEC)
        numbers = {"changes_mps": change, "start_mps": course.start_mps}
        if change > 0 and _WANTED.search(claim.text.lower()):
            return self.supported(claim.text, f"ego's speed rises by {change:.1f} m/s towards its own", EGO, **numbers)
        kept, lost = (
            max(least, share * abs(course.start_mps)) for least, share in ((1.0, KEPT_SHARE), (2.0, LOST_SHARE))
        )
        if abs(change) <= kept:
            return self.supported(claim.text, f"ego's speed changes by {change:+.1f} m/s", EGO, **numbers)
        if abs(change) > lost:
            reason = f"it says that ego keeps its speed, but it changes by {change:+.1f} m/s in {SOON_SEC:.0f} s"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers)
        return self.not_observable(claim.text, f"ego's speed changes by {change:+.1f} m/s", EGO, **numbers)

    def _reverses(self, claim: DecisionClaim, course: SpeedCourse) -> Finding:
        slowest = float(course.mps.min())
        if slowest < -NONE_MPS:
            return self.supported(claim.text, "ego drives backwards", EGO, least_along_mps=slowest)
        reason = "it says that ego drives backwards, but ego does not"
        return self.contradicted(claim.text, reason, 0.7, EGO, least_along_mps=slowest)

    def _tracks_speed(self, claim: DecisionClaim, course: SpeedCourse) -> Finding:
        change, fall = course.change_mps(SOON_SEC), course.fall_mps(SOON_SEC)
        stands = course.stands_in_sec()
        numbers = {"changes_mps": change, "falls_mps": fall, "start_mps": course.start_mps}
        slows_down = abs(course.start_mps) >= DRIVES_MPS and course.rise_mps(LATER_SEC) < CLEAR_MPS
        if slows_down and stands is not None and stands <= STOPS_SEC:
            reason = f"it says that ego drives at its own speed, but ego stands {stands:.1f} s later"
            return self.contradicted(claim.text, reason, 0.7, EGO, **numbers, stands_in_sec=stands)
        if slows_down and fall > max(2.0, LOST_SHARE * abs(course.start_mps)):
            reason = f"it says that ego drives at its own speed, but ego gets {fall:.1f} m/s slower"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers)
        if fall <= max(1.0, KEPT_SHARE * abs(course.start_mps)):
            return self.supported(claim.text, f"ego's speed changes by {change:+.1f} m/s", EGO, **numbers)
        return self.not_observable(claim.text, f"ego's speed changes by {change:+.1f} m/s", EGO, **numbers)

    def _holds_back(self, claim: DecisionClaim, course: SpeedCourse) -> Finding:
        """Whoever yields or adapts its speed gets slower, or goes on slowly for a while."""
        fall, rise = course.fall_mps(LATER_SEC), course.rise_mps(SOON_SEC)
        slowed = float(abs(course.before_mps).max()) - abs(course.start_mps)
        numbers = {"falls_mps": fall, "rises_mps": rise, "start_mps": course.start_mps, "slowed_before_mps": slowed}
        if fall >= NOTABLE_MPS:
            return self.supported(claim.text, f"ego's speed falls by {fall:.1f} m/s", EGO, **numbers)
        if abs(course.start_mps) < STANDING_MPS or slowed >= NOTABLE_MPS:
            return self.not_observable(claim.text, "ego stands or has slowed down before the keyframe", EGO, **numbers)
        if rise >= FAR_MPS and fall < NONE_MPS:
            reason = f"it says that ego holds back, but ego gets {rise:.1f} m/s faster"
            return self.contradicted(claim.text, reason, 0.6, EGO, **numbers)
        if fall < NONE_MPS and rise >= CLEAR_MPS:
            reason = f"it says that ego holds back, but ego does not slow down and gets {rise:.1f} m/s faster"
            return self.contradicted(claim.text, reason, 0.4, EGO, **numbers)
        return self.not_observable(claim.text, "ego keeps its speed, which may be a low one", EGO, **numbers)

    def _overtakes(self, claim: DecisionClaim, course: SpeedCourse) -> Finding:
        fall, rise, change = course.fall_mps(SOON_SEC), course.rise_mps(LATER_SEC), course.change_mps(SOON_SEC)
        numbers = {"rises_mps": rise, "falls_mps": fall, "start_mps": course.start_mps}
        if rise >= NOTABLE_MPS and change > -CLEAR_MPS:
            return self.supported(claim.text, f"ego's speed rises by {rise:.1f} m/s", EGO, **numbers)
        if rise < NONE_MPS and fall > max(2.0, LOST_SHARE * abs(course.start_mps)):
            reason = f"it says that ego overtakes, but ego gets {fall:.1f} m/s slower"
            return self.contradicted(claim.text, reason, 0.7, EGO, **numbers)
        return self.not_observable(claim.text, "ego does not accelerate, and may be faster already", EGO, **numbers)
