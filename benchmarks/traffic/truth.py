"""What is true at a moment of a vehicle's drive: what it does, and why."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.traffic.manoeuvres import Lane, Manoeuvre, lane_changes, nudges, turns
from benchmarks.traffic.reasons import Reasons
from benchmarks.traffic.recording import STEP_SEC
from benchmarks.traffic.scenes import Cause, Driver, distance, offset, turned
from coc_labeling.schema import Category, LongitudinalDecision, Relation, Side

STANDING_MPS = 0.3
CHANGE_MPS = 1.0  # less than this in 3 s is keeping the speed
HORIZON = 30  # steps: a decision is what ego does within 3 s
ONSET = 10  # steps: its cause is what binds within the first second
WINDOW = 60  # steps after the keyframe that a label can know
OUT_OF_SIGHT_M, COMES_NEAR_M = 105.0, 35.0  # tracks reach 100 m
TURN_OVER = 5  # steps after a turn: who leaves it towards another lane does both in one
LATER = 80  # steps after the keyframe that a later cause may come up in
CLEAR_MPS2 = 0.3  # how much a constraint holds back, against an empty road, to be a cause for certain
LEAD_CLEAR_MPS2 = 0.5  # IDM heeds a lead at a time gap of 3 s by so much
FREELY = 0.6  # of the acceleration on an empty road

Decision = LongitudinalDecision


@dataclass
class Truth:
    """What is true at one moment.

    ``accepted`` are decisions that say the same in other words, decided by the taxonomy's definitions alone.
    ``weak``: the cause is heeded so little that two decisions are accepted.
    ``ambiguous`` and ``lateral_ambiguous`` say why a moment has no single truth; such are not counted.
    """

    longitudinal: Decision
    accepted: tuple[Decision, ...] = ()
    causes: tuple[Cause, ...] = ()  # any of them is right; none: nothing holds ego back
    ambiguous: str = ""
    weak: bool = False
    lateral: Lane = Lane.KEEP_LANE
    direction: Side | None = None
    lateral_accepted: tuple[tuple[Lane, Side | None], ...] = ()
    lateral_causes: tuple[Cause, ...] = ()
    lateral_ambiguous: str = ""
    lead: str | None = None
    lead_gap_m: float | None = None
    clear_ahead: bool = False
    stands: bool = False
    stops: bool = False
    changes_lane: Side | None = None
    later: Cause | None = None
    speed: float = 0.0


_Onset = tuple[str, tuple[Cause, ...], str, bool]
_UNKNOWN: _Onset = ("free", (), "ego slows down only later", False)


class Ego(Driver):
    """One vehicle whose reasons are told."""

    @cached_property
    def manoeuvres(self) -> list[Manoeuvre]:
        """All sideways moves of its life."""
        changes = list(lane_changes(self))
        return [*turns(self), *changes, *nudges(self, changes)]

    @cached_property
    def reasons(self) -> Reasons:
        """What binds it at each step."""
        return Reasons(self, self.manoeuvres)

    def truth(self, row: int) -> Truth:
        """Return what is true at a step of ego's life; two stretches of the clip's length must follow it."""
        speed = self.motion.speed
        last = len(speed) - 1
        soon = speed[row : min(row + HORIZON, last) + 1]
        window = speed[row : min(row + WINDOW, last) + 1]
        stands = bool(speed[row] < STANDING_MPS)
        change = _change(soon)
        moving_off = bool(
            speed[row] < 1.0
            and speed[min(row + 4, last)] > speed[row]
            and speed[min(row + 12, last)] > max(0.5, speed[row] + 0.2)
        )
        stops = bool((window < STANDING_MPS).any())
        first = self._onset_row(row, change, moving_off=moving_off)
        if first is None:
            key, causes, unclear, weak = _UNKNOWN
        else:
            key, causes, unclear, weak = self._onset(first)
        if key in ("light", "sign", "yield", "turning") and change > CHANGE_MPS:
            key, causes = "free", ()  # the way became free within the second: ego gathers speed
        truth = self._longitudinal(key, causes, waits=stands and not moving_off, stops=stops, change=change)
        if key == "free" and -CHANGE_MPS <= change < -CHANGE_MPS / 2:
            truth.accepted = (*truth.accepted, Decision.ADAPT_SPEED)  # at the border of keeping the speed
        if key == "sign" and causes[0].what in ("stop sign", "all-way stop") and self._foes_soon(row):
            truth.accepted = (*truth.accepted, Decision.YIELD)  # the sign demands it, and so does who comes first
        if key == "lead" and change > CHANGE_MPS and self._drives_freely(first or row):
            weak = True
        if weak and not stands and change > -2 * CHANGE_MPS:
            # What is heeded a little: to say so, or to speak of the wanted speed, are both right.
            truth.accepted, truth.weak = (*truth.accepted, Decision.TRACK_SPEED), True
        truth.ambiguous = truth.ambiguous or unclear
        truth.stands, truth.stops, truth.speed = stands, stops, float(speed[row])
        self._add_lead(truth, row)
        self._add_lateral(truth, row)
        truth.later = self._later(truth, row)
        return truth

    def _foes_soon(self, row: int) -> bool:
        return any(bool(reason and reason.foes) for reason in self.driven.reason[row : row + HORIZON])

    def _drives_freely(self, row: int) -> bool:
        """Whether ego gathers speed nearly as on an empty road, though there is a lead."""
        rows = range(row, min(row + ONSET, len(self.driven.speed) - 2) + 1)
        free = sum(reason.free_mps2 for k in rows if (reason := self.driven.reason[k]))
        chosen = (self.driven.speed[rows[-1] + 1] - self.driven.speed[row]) / STEP_SEC
        return chosen > FREELY * free

    def _onset_row(self, row: int, change: float, *, moving_off: bool) -> int | None:
        """Return where what ego does begins: at the keyframe, or up to a second later where smoothing foretold it."""
        last = len(self.driven.speed) - 2
        if moving_off:  # what held ego until now is over
            return next((k for k in range(row, last) if self.driven.speed[k] > STANDING_MPS), row)
        if change < -CHANGE_MPS and self.reasons.binding(row)[0] == "free":
            later = (k for k in range(row, min(row + ONSET, last) + 1) if self.reasons.binding(k)[2] > CLEAR_MPS2)
            return next(later, None)
        return row

    def _onset(self, row: int) -> _Onset:
        """Return what binds over a second, its causes, why that is unclear where it is, and whether it is weak."""
        rows = range(row, min(row + ONSET, len(self.driven.speed) - 2) + 1)
        weight: dict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        by_key: dict[str, Counter[Cause]] = defaultdict(Counter)
        for k in rows:
            key, causes, held = self.reasons.binding(k)
            counts[key] += 1
            weight[key] += max(held, 0.0)
            by_key[key].update(causes)
        key = max(counts, key=lambda k: (counts[k], weight[k]))
        total = len(rows)
        unclear = ""
        mean = {k: weight[k] / counts[k] for k in counts}
        rivals = [k for k in counts if k != key and counts[k] > 0.35 * total]
        weak = False
        if rivals:
            both = {key, *rivals}
            if "free" in both and len(both) == 2 and "unexplained" not in both:
                key = next(k for k in both if k != "free")
                weak = mean[key] < LEAD_CLEAR_MPS2
                unclear = "" if weak else f"{key} binds only for part of the second"
            elif both <= {"limit", "sign", "turning"}:
                by_key[key].update(cause for k in rivals for cause in by_key[k])
            else:
                unclear = "cause changes within the second: " + " and ".join(sorted(both))
        elif key == "unexplained":
            unclear = "the simulator does not tell why"
        elif key in ("lead", "limit", "sign", "turning", "parked") and mean[key] < LEAD_CLEAR_MPS2:
            weak = True
        ranked = [cause for cause, _ in by_key[key].most_common()]
        cut_in = {cause.track for cause in ranked if cause.relation is Relation.CUT_IN}
        ranked = [c for c in ranked if c.track not in cut_in or c.relation is Relation.CUT_IN]
        return key, tuple(dict.fromkeys(ranked)), unclear, weak

    @staticmethod
    def _longitudinal(key: str, causes: tuple[Cause, ...], *, waits: bool, stops: bool, change: float) -> Truth:
        slows = change < -CHANGE_MPS
        if key in ("free", "unexplained"):
            return Truth(Decision.TRACK_SPEED, (Decision.TRACK_SPEED,))
        if key == "lead":
            return Truth(Decision.FOLLOW_LEAD, (Decision.FOLLOW_LEAD,), causes)
        if key == "parked":
            if stops or waits:
                return Truth(Decision.STOP, (Decision.STOP, Decision.FOLLOW_LEAD), causes)
            accepted = (Decision.ADAPT_SPEED, Decision.FOLLOW_LEAD, *(() if slows else (Decision.TRACK_SPEED,)))
            return Truth(Decision.ADAPT_SPEED, accepted, causes)
        if key == "yield":
            return Truth(Decision.YIELD, (Decision.YIELD,), causes)
        if key == "turning":
            words = (Decision.STOP, Decision.YIELD) if stops else ()  # it gives way, and stands for that
            accepted = (Decision.ADAPT_SPEED, *words, *(() if slows else (Decision.TRACK_SPEED,)))
            return Truth(Decision.ADAPT_SPEED, accepted, causes)
        if key == "gap":
            return Truth(Decision.SEARCH_GAP, (Decision.SEARCH_GAP, Decision.ADAPT_SPEED), causes)
        if key in ("light", "sign"):
            if waits or stops:
                return Truth(Decision.STOP, (Decision.STOP,), causes)
            accepted = (Decision.STOP, Decision.ADAPT_SPEED, *(() if slows else (Decision.TRACK_SPEED,)))
            decision = Decision.ADAPT_SPEED if key == "sign" else Decision.STOP
            return Truth(decision, accepted, causes)
        accepted = (Decision.ADAPT_SPEED,) if slows else (Decision.ADAPT_SPEED, Decision.TRACK_SPEED)
        return Truth(Decision.ADAPT_SPEED, accepted, causes)

    def _add_lead(self, truth: Truth, row: int) -> None:
        """Add the vehicle ahead in ego's path, by what its model heeds, else by where vehicles are."""
        reason = self.driven.reason[row]
        ahead = self.ahead(row)
        last = len(self.driven.speed) - 1
        truth.clear_ahead = not any(self.ahead(min(row + k, last)) for k in (0, ONSET // 2, ONSET))
        straight = [(s, name) for s, d, name in ahead if abs(d) < 1.6 and s < 85.0]
        if (
            reason
            and reason.leader
            and reason.leader_gap_m < 80.0
            and self.reasons.leader(row, reason.leader, 0.0)[0] == "lead"
        ):
            truth.lead, truth.lead_gap_m = reason.leader, reason.leader_gap_m
        elif straight:
            s, truth.lead = min(straight)
            truth.lead_gap_m = s - self.scene.recording.driven[truth.lead].length / 2

    def _add_lateral(self, truth: Truth, row: int) -> None:
        """Say what ego does sideways: what starts within 1.5 s or goes on; what is nearly over or later is unclear."""
        truth.lateral_accepted = ((Lane.KEEP_LANE, None),)
        chosen: Manoeuvre | None = None
        for m in sorted(self.manoeuvres, key=lambda m: m.start):
            length = m.end - m.start
            if m.decision in (Lane.CHANGE_LANE, Lane.MERGE, Lane.SPLIT) and row - 5 <= m.end and m.start <= row + 30:
                truth.changes_lane = truth.changes_lane or m.side
            if m.start - 15 <= row <= m.end - min(0.35 * length, 15):
                chosen = chosen or m
            elif m.decision is Lane.NUDGE_IN_LANE and m.end < row <= m.end + 80:
                back = Side.RIGHT if m.side is Side.LEFT else Side.LEFT
                truth.lateral_accepted += ((Lane.NUDGE_IN_LANE, back),)  # on its way back to the lane's centre
            elif m.start - (50 if m.decision is Lane.TURN else 35) <= row <= m.end + 5:
                truth.lateral_accepted += ((m.decision, m.side), *m.other_words)
        if chosen is None:
            return
        waits = truth.stands and chosen.start > row + 5
        truth.lateral, truth.direction, truth.lateral_causes = chosen.decision, chosen.side, chosen.causes
        slowest = float(self.motion.speed[chosen.start : chosen.end + 1].min())
        if chosen.decision in (Lane.CHANGE_LANE, Lane.MERGE) and slowest < 2.5:
            truth.lateral_ambiguous = "lane change at walking pace, which SUMO does by sliding sideways"
        if chosen.decision is Lane.CHANGE_LANE and any(
            m.decision is Lane.TURN and m.start <= chosen.end and chosen.start <= m.end + TURN_OVER
            for m in self.manoeuvres
        ):
            truth.lateral_ambiguous = "lane change and turn in one"
        words = ((chosen.decision, chosen.side), *chosen.other_words)
        truth.lateral_accepted = words + (((Lane.KEEP_LANE, None),) if waits else ())

    def _later(self, truth: Truth, row: int) -> Cause | None:
        """Return a road user that matters only after the keyframe: until then it was not ahead, or not even there."""
        step, last = row + self.driven.first_step, min(row + LATER, len(self.driven.speed) - 2)
        for k in range(row + 15, last, 5):
            key, causes, held = self.reasons.binding(k)
            if key not in ("lead", "yield") or (held < CLEAR_MPS2 and self.driven.speed[k] > STANDING_MPS):
                continue
            cause = causes[0]
            name = cause.track or ""
            if name == truth.lead or name in [c.track for c in truth.causes]:
                continue
            rows = [self.scene.at(name, s) for s in range(step, step + 6)]
            if all(there is None for there in rows):
                return cause
            if key != "lead" or None in rows:
                continue
            center = self.scene.motion(name).center
            if all(abs(offset(self.motion, center[there])) > 2.6 for there in rows if there is not None):
                return cause
        return self._arrives_later(step)

    def _arrives_later(self, step: int) -> Cause | None:
        """Return a vehicle that is out of sight until after the keyframe and comes near soon after."""
        for name, driven in self.scene.recording.driven.items():
            if name == self.name or driven.kind == "walker":
                continue
            first = [self._gap(name, s) for s in range(step - 10, step + 11, 5)]
            if any(gap is not None and gap < OUT_OF_SIGHT_M for gap in first):
                continue
            gaps = [self._gap(name, s) for s in range(step + 15, step + LATER, 5)]
            near = next((k for k, gap in enumerate(gaps) if gap is not None and gap < COMES_NEAR_M), None)
            if near is None:
                continue
            there, own = self.scene.at(name, step + 15 + 5 * near), self.scene.at(self.name, step + 15 + 5 * near)
            if there is None or own is None:
                continue
            angle = abs(turned(driven.angle[there], self.driven.angle[own]))
            if angle > 130.0:
                return Cause(Category.CRITICAL_OBJECT, Relation.ONCOMING, track=name, what="oncoming vehicle")
            if angle > 45.0:
                return Cause(Category.CRITICAL_OBJECT, Relation.CROSSING, track=name, what="crossing vehicle")
        return None

    def _gap(self, name: str, step: int) -> float | None:
        """Return how far another road user is from ego at a step, None where one of them is not there."""
        there, own = self.scene.at(name, step), self.scene.at(self.name, step)
        if there is None or own is None:
            return None
        return distance(self.scene.recording.driven[name].xy[there], self.driven.xy[own])


def _change(speed: np.ndarray) -> float:
    """Return the change of speed over 3 s; where the speed dips first, how deep, for that is decided first."""
    dip = float(speed[0] - speed[:20].min())
    change = float(speed[-1] - speed[0])
    return min(change, -CHANGE_MPS - 0.01) if dip > max(0.8 * CHANGE_MPS, 0.1 * float(speed[0])) else change
