"""What a vehicle does sideways: turns, lane changes, moves around something, with what SUMO tells of their reasons."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.traffic.scenes import Cause, Driver, edge, index, offset
from coc_labeling.schema import Category, LateralDecision, Relation, Side

STRATEGIC, SPEED_GAIN = 8, 32  # bits of SUMO's lane change state

Lane = LateralDecision


@dataclass(frozen=True)
class Manoeuvre:
    """A sideways move of ego over steps [start, end]."""

    decision: Lane
    side: Side | None
    start: int
    end: int
    causes: tuple[Cause, ...] = ()
    other_words: tuple[tuple[Lane, Side | None], ...] = ()


def turns(ego: Driver) -> Iterator[Manoeuvre]:
    """Yield the turns at junctions, from where the heading begins to change to where it has changed."""
    yaw = ego.motion.rear_yaw
    lanes = ego.driven.lane
    row = 0
    while row < len(lanes):
        if not lanes[row].startswith(":"):
            row += 1
            continue
        first = row
        while row < len(lanes) and lanes[row].startswith(":"):
            row += 1
        before, after = max(first - 5, 0), min(row + 25, len(lanes) - 1)
        total = yaw[after] - yaw[before]
        if abs(total) < 0.7:
            continue
        done = (yaw[before : after + 1] - yaw[before]) / total
        start, end = before + int(np.argmax(done > 0.08)), before + int(np.argmax(done > 0.9))
        side = Side.LEFT if total > 0 else Side.RIGHT
        cause = Cause(Category.ROUTING_INTENT, what=f"route to the {side}")
        yield Manoeuvre(Lane.TURN, side, start, end, (cause, Cause(Category.LANE, side=side, what="turn")))


def lane_changes(ego: Driver) -> Iterator[Manoeuvre]:
    """Yield changes of lane, from the first move sideways to the last."""
    lanes, u = ego.driven.lane, np.array(ego.driven.lateral)
    for row in range(1, len(lanes)):
        here, there = lanes[row - 1], lanes[row]
        if here == there or not here or not there or edge(here) != edge(there) or here.startswith(":"):
            continue
        side = Side.LEFT if index(there) > index(here) else Side.RIGHT
        width = (ego.lanes[here][1] + ego.lanes[there][1]) / 2
        sign = 1.0 if side is Side.LEFT else -1.0
        start = row - 1
        while start > 0 and row - start < 80 and lanes[start - 1] == here and sign * u[start] > 0.15:
            start -= 1
        end = row
        while end < len(lanes) - 1 and end - row < 80 and lanes[end] == there and sign * u[end] < -0.15:
            end += 1
        if end - start < 5 or width < 2.0:
            continue
        yield _explained(ego, side, start, end, row)


def _explained(ego: Driver, side: Side, start: int, end: int, row: int) -> Manoeuvre:
    own = (Lane.CHANGE_LANE, side)
    reasons = [ego.driven.reason[k] for k in range(max(start - 8, 0), row + 1)]
    bits = 0
    for reason in reasons:
        if reason:
            bits |= reason.left if side is Side.LEFT else reason.right
    first = ego.driven.reason[max(start - 1, 0)]
    lead = first.leader if first else None
    if ego.driven.lane[0].startswith("p-b") and edge(ego.driven.lane[row]) == "b-c" and side is Side.LEFT:
        cause = Cause(Category.ROUTING_INTENT, what="the on-ramp ends")
        return Manoeuvre(Lane.MERGE, side, start, end, (cause, Cause(Category.LANE, what="lane that ends")), (own,))
    if (
        ego.driven.lane[-1].startswith("e-q")
        and edge(ego.driven.lane[row]) == "d-e"
        and index(ego.driven.lane[row]) == 0
    ):
        cause = Cause(Category.ROUTING_INTENT, what="exit")
        return Manoeuvre(Lane.SPLIT, side, start, end, (cause,), (own,))
    if lead and lead in ego.scene.recording.parked:
        cause = Cause(Category.CRITICAL_OBJECT, Relation.PARKED, track=lead, what="parked car")
    elif bits & SPEED_GAIN and not bits & STRATEGIC and lead and side is Side.LEFT:
        cause = Cause(Category.CRITICAL_OBJECT, Relation.LEAD, track=lead, what="slower lead vehicle")
    elif bits & STRATEGIC:
        cause = Cause(Category.ROUTING_INTENT, what="route")
    else:
        cause = Cause(Category.LANE, what="free lane")
    return Manoeuvre(*own, start, end, (cause,))


def nudges(ego: Driver, changes: list[Manoeuvre]) -> Iterator[Manoeuvre]:
    """Yield moves within the lane around something at its edge (only where SUMO moves vehicles sideways)."""
    if ego.scene.recording.name != "street":
        return
    u = np.array(ego.driven.lateral)
    away = np.abs(u) > 0.25
    row = 0
    while row < len(u):
        if not away[row]:
            row += 1
            continue
        first = row
        while row < len(u) and away[row]:
            row += 1
        if any(m.start - 5 <= row and first <= m.end + 5 for m in changes):
            continue
        peak = first + int(np.argmax(np.abs(u[first:row])))
        if abs(u[peak]) < 0.35:
            continue
        side = Side.LEFT if u[peak] > 0 else Side.RIGHT
        passed = _passed(ego, first, row, side)
        reached = first + int(np.argmax(np.abs(u[first:row]) > 0.9 * abs(u[peak])))
        words: list[tuple[Lane, Side | None]] = [(Lane.NUDGE_OUT_OF_LANE, side)]
        if abs(u[peak]) < 0.5:
            words.append((Lane.KEEP_LANE, None))
        start = max(first - 4, 0)
        yield Manoeuvre(Lane.NUDGE_IN_LANE, side, start, reached, (passed,) if passed else (), tuple(words))


def _passed(ego: Driver, first: int, last: int, side: Side) -> Cause | None:
    """Return what ego passes while it is off the lane's centre, on the other side."""
    best: tuple[float, Cause] | None = None
    for name, driven in ego.scene.recording.driven.items():
        if name == ego.name or driven.kind == "walker":
            continue
        for row in range(first, last, 5):
            there = ego.scene.at(name, row + ego.driven.first_step)
            if there is None:
                continue
            xy = ego.scene.motion(name).center[there]
            gap = float(np.hypot(*(ego.motion.center[row] - xy)))
            aside = offset(ego.motion, xy)
            if gap > 9.0 or (aside > 0) == (side is Side.LEFT) or not 0.5 < abs(aside) < 4.5:
                continue
            if best is None or gap < best[0]:
                parked = name in ego.scene.recording.parked
                relation = Relation.PARKED if parked else Relation.ADJACENT
                where = Side.RIGHT if side is Side.LEFT else Side.LEFT
                best = (
                    gap,
                    Cause(Category.CRITICAL_OBJECT, relation, where, name, "parked car" if parked else driven.kind),
                )
    return best[1] if best else None
