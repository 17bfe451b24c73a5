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
NOTABLE_TICKS = 5  # a shorter span is no manoeuvre
SOON_TICKS = 30  # what begins within 3 s of the keyframe belongs to its decision

_CLAUSES = re.compile(r"[.;,]\s*|\s+(?:and|then|while|before|but)\s+")
_ADVERBS = re.compile(r"^(?:(?:to|then|gently|slowly|smoothly|slightly|strongly|sharply|gradually|carefully)\s+)+")
_SIDED = re.compile(
    r"^(?:turn|steer|veer|bear|swerve|nudge|shift|move|merge|pull over|pull out|change lanes?|make an?|take an?"
    r"|take the)\b[^.]{0,30}?\b(left|right)\b"
)
_BESIDE = re.compile(r"\b(?:on|from|at) (?:the|its|your) (?:left|right)\b|\b(?:keep|stay)\b.*")
_TURN = re.compile(r"^(?:turn|make an? (?:left|right|u-)|take an? (?:left|right))")
_STOP = re.compile(
    r"^(?:stop|halt|come to|remain (?:stopped|stationary)|stay (?:stopped|stationary)|wait|hold)\b(?! ?sign)"
    r"|\bto (?:a |an? )?(?:full |complete )?(?:stop|halt)\b"
)
_NO_STOP = re.compile(r"^(?:hold|come to) (?:the|its|a steady|speed)")
_MOVE = re.compile(
    r"^(?:accelerate|speed up|proceed|resume|overtake|pass|drive|cruise|turn|change lanes?"
    r"|(?:keep|maintain|hold) (?:the |its )?speed)\b"
)
_LANE_CHANGE = re.compile(
    r"lane change|chang\w* (?:\w+ ){0,3}lanes?|merg\w+|(?:in)?to the (?:left|right|adjacent|next) lane"
)
_NUDGE = re.compile(
    r"nudg|shift|swerv|veer|steer|move over|keep clear|make room|go(?:ing)? around|lane change|chang\w* lane"
)


@dataclass(frozen=True)
class DrivenFacts:
    """What ego did from the keyframe to the window's end.

    Attributes:
        start_tick: the keyframe's tick.
        spans: meta-actions that reach into that time, of at least half a second there.
        slowest_mps, fastest_mps: longitudinal speed over that time, absolute.
        complete: the window's end lies within the clip, so what is not there did not happen.
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
    speed = abs(window.ego.longitudinal_speed[window.row : window.last_row + 1])
    complete = window.info.missing_future_sec < TICK_SEC
    return DrivenFacts(first, spans, float(speed.min()), float(speed.max()), complete)


def contradictions(label: CoCLabel, facts: DrivenFacts) -> list[str]:
    """Return, in words, where a label contradicts what ego did; empty where nothing does."""
    sentence = (label.effect_on_ego_behavior or "").lower()
    clauses = [_ADVERBS.sub("", clause.strip()) for clause in _CLAUSES.split(sentence) if clause.strip()]
    return [*_sides(label, clauses, facts), *_stopping(label, clauses, facts), *_unmentioned(sentence, facts)]


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
    if turns and facts.complete and not steered and any(span.axis == LATERAL for span in facts.spans):
        yield "it says that ego turns, but ego drives straight on throughout"


def _stopping(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    stops = any(_STOP.search(clause) and not _NO_STOP.search(clause) for clause in clauses)
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
