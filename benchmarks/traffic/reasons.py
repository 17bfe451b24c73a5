"""What holds a vehicle back at a step: the constraint that its own driving models obeyed."""

import numpy as np

from benchmarks.traffic.manoeuvres import STRATEGIC, Lane, Manoeuvre
from benchmarks.traffic.recording import STEP_SEC, Driven, Reason
from benchmarks.traffic.scenes import Cause, Driver, distance, edge, index, turned
from coc_labeling.schema import Category, Relation, Side

MEETS_M = 3.5  # whose way ego's path crosses comes so near to it
MATCH_MPS2 = 0.12  # how near the driven acceleration is to that of the constraint that binds
WEAK_MPS2 = 0.15  # how much less than on an empty road is nothing
MINOR = frozenset("mgsZo")
RED = frozenset("ryu")
BLOCKED = 512 | 1024 | 2048 | 4096 | 16384  # bits of SUMO's lane change state


class Reasons:
    """Says at each step what binds one vehicle."""

    def __init__(self, ego: Driver, manoeuvres: list[Manoeuvre]) -> None:
        self.ego, self.manoeuvres = ego, manoeuvres
        self.turns = [m for m in manoeuvres if m.decision is Lane.TURN]
        self.scene, self.name, self.driven, self.motion, self.lanes = (
            ego.scene,
            ego.name,
            ego.driven,
            ego.motion,
            ego.lanes,
        )

    def binding(self, row: int) -> tuple[str, tuple[Cause, ...], float]:
        """Return what holds ego back at a step: a key, causes of which any is right, and by how much (m/s^2).

        The acceleration that was driven is compared with what the vehicle's own models allow for each constraint.
        """
        driven, reason = self.driven, self.driven.reason[row]
        assert reason is not None
        row_after = min(row + 1, len(driven.speed) - 1)
        chosen = (driven.speed[row_after] - driven.speed[row]) / STEP_SEC
        held = reason.free_mps2 - chosen
        if held < WEAK_MPS2:
            return "free", (), held
        standing = driven.speed[row] < 0.1 and driven.speed[row_after] < 0.1
        tolerance = MATCH_MPS2 + 0.08 * abs(chosen)
        inside = driven.lane[row].startswith(":")
        by_lead = abs(reason.follow_mps2 - chosen) < tolerance or (standing and reason.follow_mps2 < 0.3)
        must_stop = not inside and (not reason.link_open or reason.link_state in MINOR | RED | {"w"})
        by_link = must_stop and (abs(reason.link_mps2 - chosen) < tolerance or (standing and reason.link_m < 3.0))
        if by_lead and by_link and not standing:
            by_lead = abs(reason.follow_mps2 - chosen) <= abs(reason.link_mps2 - chosen)
            by_link = not by_lead
        if by_lead and reason.leader:
            return self.leader(row, reason.leader, held)
        if by_link and reason.link_state in RED:
            return (
                "light",
                (Cause(Category.TRAFFIC_LIGHT, what="yellow" if reason.link_state in "yu" else "red"),),
                held,
            )
        blockers = self._blockers(
            row, reason, closed=by_link and not reason.link_open, brakes=chosen < -0.2 or standing
        )
        if blockers and not (
            reason.link_state in "sw" and not inside and driven.speed[row] > 1.0
        ):  # the sign comes first
            return "yield", blockers, held
        return self._without_agent(row, reason, chosen, held, by_link=by_link)

    def _without_agent(
        self, row: int, reason: Reason, chosen: float, held: float, *, by_link: bool
    ) -> tuple[str, tuple[Cause, ...], float]:
        """Return what binds where it is neither the leader nor a light nor somebody with the right of way."""
        speed, inside = self.driven.speed[row], self.driven.lane[row].startswith(":")
        at_limit = reason.limit_mps < speed + 0.35 and (abs(chosen) < 0.1 or chosen < 0.0)
        near_sign = by_link or (
            not inside and reason.link_state in MINOR | {"w", "="} and reason.link_m < 45.0 and chosen < 0.3
        )
        if at_limit and (
            not near_sign or reason.limit_m > reason.link_m + 1 or reason.limit_mps2 < -0.5 or abs(chosen) < 0.1
        ):
            return "limit", (self._limit(row, reason),), held
        if near_sign and not reason.link_open and reason.link_state in "m=gZ" and (speed < 1.0 or chosen < -1.0):
            return "unexplained", (), held  # somebody has the right of way, the simulator does not say who
        if near_sign:
            return "sign", (Cause(Category.TRAFFIC_CONTROL, what=_sign(reason)),), held
        if (
            inside
            and chosen < 0.6
            and any(m.decision is Lane.TURN and m.start - 20 <= row <= m.end for m in self.turns)
        ):
            side = next(m.side for m in self.turns if m.start - 20 <= row <= m.end)
            gives_way = Cause(Category.TRAFFIC_CONTROL, what="gives way while turning")
            return "turning", (gives_way, Cause(Category.LANE, side=side, what="turn")), held
        moves_over = bool((reason.left | reason.right) & 6) or abs(self.driven.lateral[row]) > 0.15
        if reason.beside and moves_over and abs(reason.beside_mps2 - chosen) < 2 * MATCH_MPS2 + 0.08 * abs(chosen):
            if reason.beside in self.scene.recording.parked:
                return "unexplained", (), held
            cause = Cause(Category.CRITICAL_OBJECT, Relation.LEAD, track=reason.beside, what="vehicle on the new lane")
            return "lead", (cause,), held
        if (reason.left | reason.right) & STRATEGIC and (reason.left | reason.right) & BLOCKED and chosen < -0.2:
            return "gap", (Cause(Category.LANE, what="the lane that ego must change to"),), held
        close = [(s, name) for s, d, name in self.ego.ahead(row) if d < 1.3 and s < 9.0 + 1.5 * speed]
        if close and chosen < 0.3:  # it stands or crawls across ego's lane, within a junction mostly
            return self.leader(row, min(close)[1], held)
        parked = reason.leader in self.scene.recording.parked
        if held < 0.5 and (not reason.leader or reason.leader_gap_m > 60.0 or parked):
            return "free", (), min(held, WEAK_MPS2)  # rounding of the models, nothing is near
        return "unexplained", (), held

    def leader(self, row: int, name: str, held: float) -> tuple[str, tuple[Cause, ...], float]:
        step = row + self.driven.first_step
        other = self.scene.recording.driven[name]
        there = self.scene.at(name, step)
        assert there is not None
        if name in self.scene.recording.parked:
            return "parked", (Cause(Category.CRITICAL_OBJECT, Relation.PARKED, track=name, what="parked car"),), held
        angle = turned(other.angle[there], self.driven.angle[row])
        if not self._goes_ahead(other, there, row):
            relation = Relation.ONCOMING if abs(angle) > 130 else Relation.CROSSING
            return "yield", (Cause(Category.CRITICAL_OBJECT, relation, track=name, what="crossing vehicle"),), held
        side = self.cut_in_from(name, row)
        if side:
            return "lead", (Cause(Category.CRITICAL_OBJECT, Relation.CUT_IN, side, name, "vehicle that cut in"),), held
        return "lead", (Cause(Category.CRITICAL_OBJECT, Relation.LEAD, track=name, what="lead vehicle"),), held

    def _goes_ahead(self, other: Driven, there: int, row: int) -> bool:
        """Whether another vehicle drives where ego will, or came from where ego comes from; else it crosses."""
        mine = set(self.driven.lane[row:])
        if other.lane[there] in mine:
            return True
        if not other.lane[there].startswith(":"):
            return bool(mine & set(other.lane[there : there + 40]))
        before = next((lane for lane in other.lane[there::-1] if not lane.startswith(":")), "")
        own = next((lane for lane in self.driven.lane[row::-1] if not lane.startswith(":")), "")
        return edge(before) == edge(own) and abs(turned(other.angle[there], self.driven.angle[row])) < 60

    def cut_in_from(self, name: str, row: int) -> Side | None:
        """Return the side that the leader comes from, where it moves into ego's lane now or did within 3.5 s."""
        other = self.scene.recording.driven[name]
        there = self.scene.at(name, row + self.driven.first_step)
        if there is None or any(m.start - 10 <= row <= m.end + 40 for m in self.manoeuvres):
            return None
        for k in range(max(there - 35, 1), min(there + 25, len(other.lane))):
            before, after = other.lane[k - 1], other.lane[k]
            if before == after or edge(before) != edge(after) or after.startswith(":"):
                continue
            own = self.scene.at(self.name, k + other.first_step)
            if own is None or after not in self.driven.lane[own : own + 80]:
                continue
            return Side.LEFT if index(before) > index(after) else Side.RIGHT
        return None

    def _blockers(self, row: int, reason: Reason, *, closed: bool, brakes: bool) -> tuple[Cause, ...]:
        """Return the road users that ego must let pass right ahead, any of which may be the one."""
        inside = self.driven.lane[row].startswith(":")
        if not brakes or not (inside or reason.link_m < 45.0) or (reason.link_state in RED and not inside):
            return ()
        people = self._pedestrians(row)
        foes = reason.foes if closed or inside or reason.link_state in MINOR | {"w", "="} else ()
        vehicles = []
        for name in foes[:4]:
            there = self.scene.at(name, row + self.driven.first_step)
            if there is None or name in self.scene.recording.parked:
                continue
            angle = abs(turned(self.scene.recording.driven[name].angle[there], self.driven.angle[row]))
            relation = Relation.ONCOMING if angle > 130 else Relation.CROSSING
            crosses = relation is Relation.CROSSING
            side = self.ego.side_of(self.scene.recording.driven[name].xy[there], row) if crosses else None
            cause = Cause(Category.CRITICAL_OBJECT, relation, side, name, "vehicle with right of way")
            vehicles.append(cause)
        if inside and not vehicles and not people:
            vehicles = self._oncoming(row)
        return (*people, *vehicles)

    def _oncoming(self, row: int) -> list[Cause]:
        """Return the traffic from ahead that passes the junction soon, where ego turns across it."""
        junction = edge(edge(self.driven.lane[row])) + "_"
        turn = next((m for m in self.turns if m.side is Side.LEFT and m.start - 30 <= row <= m.end), None)
        if turn is None:
            return []
        heading = self.driven.angle[max(turn.start - 10, 0)]
        path = self.motion.place(self.motion.s[row] + np.arange(0.0, 60.0, 2.0))
        found = []
        for name, driven in self.scene.recording.driven.items():
            there = self.scene.at(name, row + self.driven.first_step)
            if there is None or driven.kind == "walker" or driven.speed[there] < 2.0:
                continue
            if (
                abs(turned(driven.angle[there], heading)) < 130
                or distance(driven.xy[there], self.driven.xy[row]) > 80.0
            ):
                continue
            meets = np.hypot(*(path - self.scene.motion(name).center[there : there + 50, None]).T).min() < MEETS_M
            if meets and any(lane.startswith(junction) for lane in driven.lane[there : there + 50]):
                cause = Cause(Category.CRITICAL_OBJECT, Relation.ONCOMING, track=name, what="oncoming vehicle")
                found.append((distance(driven.xy[there], self.driven.xy[row]), cause))
        return [cause for _, cause in sorted(found, key=lambda item: item[0])]

    def _pedestrians(self, row: int) -> tuple[Cause, ...]:
        """Return the pedestrians on a crossing of ego's path ahead, the one nearest to it first."""
        ahead = self.motion.place(self.motion.s[row] + np.arange(0.0, 45.0, 1.0))
        found = []
        for name, driven, there in self.scene.people_on_crossings(row + self.driven.first_step):
            xy = np.array(driven.xy[there])
            if abs(xy[0] - ahead[0, 0]) + abs(xy[1] - ahead[0, 1]) > 80.0:
                continue
            gaps = np.hypot(*(ahead - xy).T)
            nearest = int(np.argmin(gaps))
            later = np.array(driven.xy[min(there + 20, len(driven.xy) - 1)])
            leaves = np.min(np.hypot(*(ahead - later).T)) > gaps[nearest] and gaps[nearest] > 2.5
            if gaps[nearest] < 9.0 and nearest > 0 and not leaves:
                side = self.ego.side_of(driven.xy[there], row)
                found.append(
                    (gaps[nearest], Cause(Category.CRITICAL_OBJECT, Relation.CROSSING, side, name, "pedestrian"))
                )
        return tuple(cause for _, cause in sorted(found, key=lambda item: item[0]))

    def _limit(self, row: int, reason: Reason) -> Cause:
        """Return what a lower limit ahead stands for: a turn, a curve, or just a limit."""
        s = self.motion.s[row] + reason.limit_m
        length = min(self.lanes[reason.limit_lane][2], 80.0, self.motion.grid[-1] - s - 5.0)  # as far as it drives
        if length < 0.0:
            return Cause(Category.TRAFFIC_CONTROL, what="lower speed limit")
        behind = self.motion.place(np.array([s - 6.0, s - 1.0]))
        beyond = self.motion.place(np.array([s + length - 1.0, s + length + 4.0]))
        angles = [np.arctan2(*(pair[1] - pair[0])[::-1]) for pair in (behind, beyond)]
        turn = float((angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi)
        side = Side.LEFT if turn > 0 else Side.RIGHT
        if abs(turn) > 0.6 and reason.limit_lane.startswith(":"):
            return Cause(Category.LANE, side=side, what="turn")
        if abs(turn) > 0.2:
            return Cause(Category.LANE, side=side, what="curve")
        return Cause(Category.TRAFFIC_CONTROL, what="lower speed limit")


def _sign(reason: Reason) -> str:
    if reason.link_lane.startswith(":z"):
        return "zebra crossing"
    return {"s": "stop sign", "w": "all-way stop"}.get(reason.link_state, "yield sign")
