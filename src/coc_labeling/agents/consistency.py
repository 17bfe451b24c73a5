"""Does a label contradict what ego measurably did? Direction, stopping, and manoeuvres that go unmentioned.

Deliberately narrow: it reads imperative clauses in the style of the labels and lets pass what it does not understand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from coc_labeling.schema import CoCLabel, LateralDecision, LongitudinalDecision, Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from meta_action.names import LANE, LATERAL
from meta_action.timeline import Span

STANDING_MPS = 0.5
BRAKING_MPS = 0.02  # less from one tick to the next
NOTABLE_TICKS = 5  # a shorter span is no manoeuvre
SOON_TICKS = 30  # what begins within 3 s of the keyframe belongs to its decision

_SEGMENTS = re.compile(r"[.;,:!]\s*")
_REASON = re.compile(r"\s(?:because|since|as|due to|that|which|who)\s.*")  # tells of others
_CLAUSES = re.compile(r"\s+(?:and|then|while|before|but)\s+")
_ADVERBS = re.compile(r"^(?:(?:to|then|gently|slowly|smoothly|slightly|strongly|sharply|gradually|carefully)\s+)+")
_SIDED = re.compile(
    r"^(?:turn|steer|veer|bear|swerve|nudge|shift|move|merge|split|pull over|pull out|change (?:lanes?|to|into)"
    r"|make an?|take an?|take the)\b[^.]{0,30}?\b(left|right)\b"
)
_BESIDE = re.compile(r"\b(?:on|from|at) (?:the|its|your) (?:left|right)\b|\b(?:keep|stay|away from)\b.*")
_TURN = re.compile(r"^(?:turn\b|make an? (?:left|right|u-)|take an? (?:left|right))")
_HALT = r"(?:an? )?(?:full |complete )?(?:stop|halt|standstill)\b(?!-)"
_STOP = re.compile(
    r"^(?:stop|halt)\b(?! ?sign|-and-| accelerat| turn)|^(?:remain|stay) (?:stopped|stationary)\b"
    r"|^wait\b(?! for (?:\w+ ){0,3}(?:gap|space|opening))|^hold (?:position|still|at|behind)\b"
    rf"|^come to {_HALT}"
    r"|^(?:decelerate|brake|slow|ease|roll|(?:adapt|adjust|reduce) speed)\b(?:(?! (?:for|behind|prepare)\b).)*"
    rf" to {_HALT}"
)
_MOVE = re.compile(
    r"^(?:accelerate|speed up|proceed|resume|overtake|pass|drive|cruise|turn|change lanes?"
    r"|(?:keep|maintain|hold) (?:the |its )?speed)\b"
)
_LANE_CHANGE = re.compile(
    r"lane change|(?:chang|switch)\w* (?:\w+ ){0,3}lanes?|merg\w+|lanes? over"
    r"|(?:in)?to the (?:left|right|adjacent|next) lane"
)
_NUDGE = re.compile(
    r"nudg|shift|swerv|veer|steer|move over|keep clear|\broom\b|go(?:ing)? around|bypass|lane change|chang\w* lane"
    r"|(?:mov|keep|bias|edg)\w* (?:slightly )?(?:to the )?(?:left|right)"
)


@dataclass(frozen=True)
class DrivenFacts:
    """What ego did from the keyframe to the window's end.

    Attributes:
        start_tick: the keyframe's tick.
        spans: meta-actions that reach into that time, of at least half a second there.
        slowest_mps, fastest_mps: longitudinal speed over that time, absolute; the slowest with a braking that goes on.
        complete: the window's end, and such a braking's, lie within the clip, so what is not there did not happen.
    """

    start_tick: int
    spans: tuple[Span, ...]
    slowest_mps: float
    fastest_mps: float
    complete: bool

    def steering(self) -> frozenset[str]:
        """Return the sides that ego steers, turns or shifts to; backwards driving has none."""
        names = (span.name for span in self.spans if span.axis in (LATERAL, LANE) and "reverse" not in span.name)
        return frozenset(side for name in names for side in ("left", "right") if side in name)

    def soon(self, *names: str) -> list[str]:
        """Return those of ``names`` that begin around the keyframe."""
        first, last = self.start_tick - NOTABLE_TICKS, self.start_tick + SOON_TICKS
        return [span.name for span in self.spans if span.name in names and first <= span.start <= last]


def driven_facts(window: Window) -> DrivenFacts:
    """Return what ego did from the keyframe on, as far as the window reaches."""
    first, last = window.keyframe.frame, window.keyframe.frame + window.last_row - window.row
    spans = tuple(
        span
        for span in window.timeline.spans
        if min(span.end, last + 1) - max(span.start, first) >= min(NOTABLE_TICKS, span.end - span.start)
    )
    speed = abs(window.ego.longitudinal_speed)
    end = window.last_row
    while end + 1 < len(speed) and speed[end + 1] < speed[end] - BRAKING_MPS:
        end += 1  # a braking that the window's end cuts
    braking_at_the_end = end > window.last_row and end == len(speed) - 1 and speed[end] > STANDING_MPS
    complete = window.info.missing_future_sec < TICK_SEC and not braking_at_the_end
    fastest = speed[window.row : window.last_row + 1].max()
    return DrivenFacts(first, spans, float(speed[window.row : end + 1].min()), float(fastest), complete)


def contradictions(label: CoCLabel, facts: DrivenFacts) -> list[str]:
    """Return, in words, where a label contradicts what ego did; empty where nothing does."""
    sentence = (label.effect_on_ego_behavior or "").lower()
    clauses = [_ADVERBS.sub("", clause) for clause in _clauses(sentence)]
    return [*_sides(label, clauses, facts), *_stopping(label, clauses, facts), *_unmentioned(sentence, facts)]


def _clauses(sentence: str) -> Iterator[str]:
    """Yield what a sentence says of ego, a verb each; reasons are left out."""
    for segment in _SEGMENTS.split(sentence):
        yield from (clause.strip() for clause in _CLAUSES.split(_REASON.sub("", segment)) if clause.strip())


def _sides(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    claimed = {match[1] for clause in clauses if (match := _SIDED.search(_BESIDE.sub("", clause)))}
    if label.lateral is not None and label.lateral.direction is not None:
        claimed.add(str(label.lateral.direction))
    steered = facts.steering()
    for side in sorted(claimed):
        other = "right" if side == Side.LEFT else "left"
        if steered == {other}:
            yield f"it says {side}, but ego steers only to the {other} in this window"
    turns = any(_TURN.search(clause) for clause in clauses)
    turns = turns or (label.lateral is not None and label.lateral.decision == LateralDecision.TURN)
    if turns and facts.complete and not steered and any(span.name == "go_straight" for span in facts.spans):
        yield "it says that ego turns, but ego drives straight on throughout"


def _stopping(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    stops = any(_STOP.search(clause) for clause in clauses)
    stops = stops or (label.longitudinal is not None and label.longitudinal.decision == LongitudinalDecision.STOP)
    if stops and facts.complete and facts.slowest_mps > STANDING_MPS:
        yield f"it says that ego stops, but ego keeps moving, never slower than {facts.slowest_mps:.1f} m/s"
    moves = any(_MOVE.search(clause) for clause in clauses)
    if moves and not stops and facts.complete and facts.fastest_mps < STANDING_MPS:
        yield "it says that ego drives on, but ego stands still throughout"


def _unmentioned(sentence: str, facts: DrivenFacts) -> Iterator[str]:
    for name in facts.soon("left_lane_change", "right_lane_change"):
        if not _LANE_CHANGE.search(sentence):
            yield f"ego makes a {name.replace('_', ' ')}, which it does not mention"
    for name in facts.soon("slightly_shift_left", "slightly_shift_right"):
        if not _NUDGE.search(sentence):
            yield f"ego nudges to the {name.rpartition('_')[2]}, which it does not mention"
