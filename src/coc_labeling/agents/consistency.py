"""Does a label contradict what ego measurably did? Direction, stopping, and manoeuvres that go unmentioned.

Deliberately narrow: it reads imperative clauses in the style of the labels and lets pass what it does not understand.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coc_labeling.schema import CoCLabel, LateralDecision, LongitudinalDecision, Side
from coc_labeling.windows import Window
from driving_clips.ego_motion import TICK_SEC
from meta_action.names import LATERAL
from meta_action.timeline import Span

STANDING_MPS = 0.5
BRAKING_MPS = 0.02  # less from one tick to the next
NOTABLE_TICKS = 5  # a shorter span is no manoeuvre
SOON_TICKS = 30  # what begins within 3 s of the keyframe belongs to its decision
CURVE_TICKS = 30  # who steers to one side for longer follows a curve, and may move over to the other side in it

LANE_CHANGES = ("left_lane_change", "right_lane_change")
SHIFTS = ("slightly_shift_left", "slightly_shift_right")
TURNS = ("turn_left", "turn_right")

_SEGMENTS = re.compile(r"[.;,:!]\s*")
_REASON = re.compile(r"\s(?:because|since|as|due to|that|which|who)\s.*")  # tells of others
_EGO = re.compile(r"\bego[ -](?:vehicle|car)\b|^(?:the )?(?:vehicle|car)\b(?=\s+(?:is\s+)?\w+(?:s|ing)\b)")  # no other
_EGO_REASON = re.compile(r"\s(?:because|since|as|due to)\s+(?:the )?ego\b.*")
_CLAUSES = re.compile(r"\s+(?:and|then|while|before|but)\s+")
_ADVERBS = re.compile(r"^(?:(?:to|then|gently|slowly|smoothly|slightly|strongly|sharply|gradually|carefully)\s+)+")
_AGENT = (
    r"(?:vehicles?|cars?|trucks?|bus(?:es)?|vans?|suvs?|trailers?|taxis?|ambulances?|motorcycl\w+|bicycl\w+|cyclists?"
    r"|bikes?|scooters?|riders?|pedestrians?|persons?|people|child(?:ren)?|traffic|leads?|leaders?|drivers?|agents?)\b"
)
# A side that is ego's own: neither the side of somebody ("the left cyclist") nor a part of another word.
_SIDE = rf"\b(left|right)\b(?!(?: \w+| \w+[ -]\w+)? {_AGENT})(?!-turn)"
_PLACES = re.compile(r"\b(?:on|from|at|by) (?:(?:the|its|your|their|ego's) )?(?:far |near )?(?:left|right)\b")
_AWAY = re.compile(r"\b(?:keep|stay|away from)\b.*")
# What follows these words tells why or past whom; sides in it are not ego's.
_WHY = re.compile(
    r"\b(?:for|around|behind|past|from|beside|between|near|clear|ahead of|in front of|next to|away|give|giving|let"
    r"|letting|allow\w*|pass|passing|overtak\w+|avoid\w*|prepar\w+|response)\b.*"
)
_OVER = r"nudge|shift|swerve|move|merge|split|pull over|pull out|change (?:lanes?|to|into)|switch|take the"
_SIDED = re.compile(rf"^(?:{_OVER}|turn|steer|veer|bear|make an?|take an?)\b[^.]{{0,30}}?{_SIDE}")
# Where ego steers there and back, so that the sides of its steering tell nothing.
_MOVES_OVER = re.compile(
    rf"^(?:{_OVER})\b"
    r"|^(?!turn\b|take\b)(?!.*\b(?:turn|curve|bend|intersection|junction|roundabout)\b)"
    r".*\b(?:lanes?|shift|nudge|merge|around|past|avoid\w*|clear|room|space|within|away)\b"
)
_TURN = re.compile(
    r"^(?:turn\b|make an? (?:(?:left|right)(?! lane|-lane| shift| nudge| merge)|u-)|take an? (?:left|right))"
)
_HALT = r"(?:an? )?(?:full |complete )?(?:stop|halt|standstill)\b(?!-| signs?\b| lines?\b| lights?\b| controlled)"
_STOP = re.compile(
    r"^(?:stop|halt)\b(?! ?sign|-and-| accelerat| turn)|^(?:remain|stay) (?:stopped|stationary)\b"
    r"|^wait\b(?! for (?:\w+ ){0,3}(?:gap|space|opening))|^hold (?:position|still|at|behind)\b"
    rf"|^come to {_HALT}"
    r"|^(?:decelerate|brake|slow|ease|roll|(?:adapt|adjust|reduce) speed)\b"
    rf"(?:(?! (?:for|behind|prepare|approach|prior)\b).)* to {_HALT}"
)
_MOVE = re.compile(
    r"^(?:accelerate|speed up|proceed|resume|overtake|pass|drive|cruise|turn|change lanes?"
    r"|(?:keep|maintain|hold) (?:the |its )?speed)\b"
)
# Decisions of somebody who drives on: what the others are for may be done standing.
_MOVING = frozenset({LongitudinalDecision.TRACK_SPEED, LongitudinalDecision.OVERTAKE, LongitudinalDecision.ADAPT_SPEED})
_LANE_CHANGE = re.compile(
    r"lane[ -]change|(?:chang|switch)\w* (?:\w+ ){0,3}lanes?|merg\w+|lanes? over"
    r"|(?:in)?to the (?:left|right|adjacent|next) lane"
)
_NUDGE = re.compile(
    r"nudg|shift|swerv|veer|steer|move over|keep clear|\broom\b|go(?:ing)? around|bypass|lane[ -]change|chang\w* lane"
    r"|(?:mov|keep|bias|edg)\w* (?:slightly )?(?:to the )?(?:left|right)"
)
_SIDEWAYS = r"(?:merg|chang|switch|shift|swerv|veer|steer|nudg|mov|cutt?)"
# What others do sideways: "the merging truck", "the truck changing lanes", "let the car merge".
_OTHERS = re.compile(
    rf"\b(?:merging|lane[ -]changing|shifting|swerving) (?:(?!to|onto|left|right|behind|with|after|before|ahead|past"
    rf"|between|the|an?\b|in)\w+ ){{0,2}}{_AGENT}"
    rf"|\b{_AGENT}(?:'s?)? (?:(?:ahead|in|front|is|are|on|from|the|left|right|adjacent|lane) ){{0,5}}"
    rf"(?:{_SIDEWAYS}(?:ing|es|s|e)?\b|lane[ -]change|to the (?:left|right) lane).*"
    rf"|\bfor (?:\w+ ){{0,4}}{_AGENT} to \w+.*"
    r"|\b(?:let|allow)\w*\b.*|\bmerging from (?:the )?(?:left|right)\b.*"
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

    def contradictions(self, label: CoCLabel) -> list[str]:
        """Return, in words, where a label contradicts what ego did; empty where nothing does."""
        return contradictions(label, self)

    def steering(self) -> frozenset[str]:
        """Return the sides that ego steers or turns to; backwards driving has none, moving over is no steering."""
        moves_over = (*LANE_CHANGES, *SHIFTS)
        return _sides_of(s.name for s in self.spans if "reverse" not in s.name and s.name not in moves_over)

    def moving_over(self) -> frozenset[str]:
        """Return the sides that ego moves over to within or across lanes, as far as that can be told.

        A lane change steers there and back, so the lane axis alone counts where it says something around the
        keyframe. Elsewhere short steering counts: in a long curve ego may move over to either side.
        """
        if lanes := _sides_of(self.soon(*LANE_CHANGES, *SHIFTS, *TURNS)):
            return lanes
        steering = sorted(
            (span.start, span.end) for span in self.spans if span.axis == LATERAL and _sides_of([span.name])
        )
        begun, ended = 0, -1
        for start, end in steering:
            begun, ended = (start if start > ended else begun), max(end, ended)
            if ended - begun > CURVE_TICKS:
                return frozenset()
        return self.steering()

    def soon(self, *names: str) -> list[str]:
        """Return those of ``names`` that begin around the keyframe."""
        first, last = self.start_tick - NOTABLE_TICKS, self.start_tick + SOON_TICKS
        return [span.name for span in self.spans if span.name in names and first <= span.start <= last]


def _sides_of(names: Iterable[str]) -> frozenset[str]:
    return frozenset(side for name in names for side in ("left", "right") if side in name)


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
    sentence = _EGO.sub("ego", (label.effect_on_ego_behavior or "").lower())
    clauses = [_ADVERBS.sub("", clause) for clause in _clauses(sentence)]
    own = [*clauses, *(match[0] for match in _EGO_REASON.finditer(sentence))]
    return [
        *_sides(label, clauses, facts),
        *_turning(label, clauses, facts),
        *_stopping(label, clauses, facts),
        *_unmentioned(label, own, facts),
    ]


def _clauses(sentence: str) -> Iterator[str]:
    """Yield what a sentence says of ego, a verb each; reasons are left out."""
    for segment in _SEGMENTS.split(sentence):
        yield from (clause.strip() for clause in _CLAUSES.split(_REASON.sub("", segment)) if clause.strip())


def _sides(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    """Yield each side that is claimed though ego went only to the other, once."""
    steered, moved = facts.steering(), facts.moving_over()
    claims = [*_claimed(clauses)]
    lateral = label.lateral
    if lateral is not None and lateral.direction is not None and lateral.decision != LateralDecision.ABORT_MANOEUVRE:
        claims.append((str(lateral.direction), lateral.decision != LateralDecision.TURN))
    found: dict[str, str] = {}
    for side, over in claims:
        other = "right" if side == Side.LEFT else "left"
        if (moved if over else steered) == {other}:
            verb = "moves over" if over and facts.soon(*LANE_CHANGES, *SHIFTS) else "steers"
            found.setdefault(side, f"it says {side}, but ego {verb} only to the {other} in this window")
    yield from (found[side] for side in sorted(found))


def _claimed(clauses: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the sides that clauses claim, each with whether ego moves over to it; else it turns or steers to it."""
    for clause in clauses:
        if match := _SIDED.search(_WHY.sub("", _AWAY.sub("", _PLACES.sub("", clause)))):
            yield match[1], _MOVES_OVER.search(clause) is not None


def _turning(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    turns = any(_TURN.search(clause) for clause in clauses)
    turns = turns or (label.lateral is not None and label.lateral.decision == LateralDecision.TURN)
    sideways = facts.steering() or facts.moving_over()
    if turns and facts.complete and not sideways and any(span.name == "go_straight" for span in facts.spans):
        yield "it says that ego turns, but ego drives straight on throughout"


def _stopping(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    decision = label.longitudinal.decision if label.longitudinal is not None else None
    stops = any(_STOP.search(clause) for clause in clauses) or decision == LongitudinalDecision.STOP
    if stops and facts.complete and facts.slowest_mps > STANDING_MPS:
        yield f"it says that ego stops, but ego keeps moving, never slower than {facts.slowest_mps:.1f} m/s"
    moves = decision in _MOVING or (not stops and any(_MOVE.search(clause) for clause in clauses))
    if moves and facts.complete and facts.fastest_mps < STANDING_MPS:
        yield "it says that ego drives on, but ego stands still throughout"


def _unmentioned(label: CoCLabel, clauses: list[str], facts: DrivenFacts) -> Iterator[str]:
    changes, shifts = (list(dict.fromkeys(facts.soon(*names))) for names in (LANE_CHANGES, SHIFTS))
    if changes and not _mentioned(_LANE_CHANGE, clauses, _sides_of(changes)):
        yield from (f"ego makes a {name.replace('_', ' ')}, which it does not mention" for name in changes)
    # Ego also shifts to settle after a lane change, or back after a nudge: the side of any of them will do.
    if shifts and not _mentioned(_NUDGE, clauses, _sides_of([*changes, *shifts])):
        yield from (f"ego nudges to the {name.rpartition('_')[2]}, which it does not mention" for name in shifts)
    if changes and label.lateral is not None and label.lateral.decision == LateralDecision.KEEP_LANE:
        yield f"it says that ego keeps its lane, but ego makes a {changes[0].replace('_', ' ')}"


def _mentioned(pattern: re.Pattern[str], clauses: list[str], sides: frozenset[str]) -> bool:
    """Say whether a clause about ego mentions it, to one of the sides where it names one."""
    for clause in clauses:
        own = _PLACES.sub("", _OTHERS.sub("", clause))
        if match := pattern.search(own):
            said = own[max(match.start() - 6, 0) : match.end()] + _WHY.sub("", own[match.end() :])
            named = {side[1] for side in re.finditer(_SIDE, said)}
            if not named or named & sides:
                return True
    return False
