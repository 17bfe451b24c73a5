"""Running one scenario in SUMO and keeping what every vehicle did and why it did it.

Only this module needs SUMO (``libsumo``). It runs in a process of its own, since libsumo brings an Arrow library
that is another than pyarrow's.
"""

import pickle
import random
import sys
from pathlib import Path
from typing import Any

import libsumo  # type: ignore[import-not-found]

from benchmarks.traffic import demand, network
from benchmarks.traffic.recording import LOOK_M, STEP_SEC, Driven, Reason, Recording

FAR_GAP_M, FAR_MPS = 1000.0, 50.0
LIMIT_LOOK_M = 300.0
FOES_M = 150.0
CUT_IN_CHANCE = 0.4  # every half second, where there is room for one
SCRIPTED_SHARE = 0.35  # of cars: these do the surprising things, the others have reasons of their own
STOP_BEFORE_M = 1.0  # SUMO's own distance to the stop line


def run(family: str, seed: int, seconds: float, folder: Path, binaries: Path) -> Recording:
    """Build, populate and run a scenario."""
    rng = random.Random(f"{family} {seed}")
    plan = network.FAMILIES[family](rng)
    net = network.build(plan, folder, binaries)
    traffic = demand.write(plan, rng, folder, seconds)
    command = ["sumo", "-n", str(net), "-r", str(traffic.file), "--step-length", str(STEP_SEC), "--seed", str(seed)]
    command += ["--no-step-log", "--no-warnings", "--time-to-teleport", "-1", "--collision.action", "warn"]
    if traffic.sublane_m:
        command += ["--lateral-resolution", str(traffic.sublane_m)]
    else:
        command += ["--lanechange.duration", str(rng.choice([3.0, 3.5, 4.5]))]
    libsumo.start(command)
    try:
        return _Run(plan.name, seed, traffic, rng).until(seconds)
    finally:
        libsumo.close()


class _Run:
    def __init__(self, name: str, seed: int, traffic: demand.Demand, rng: random.Random) -> None:
        self.rng = rng
        self.recording = Recording(name, seed, {}, traffic.parked, _lanes(), {})
        self.limits = {lane: values[0] for lane, values in self.recording.lanes.items()}
        self.events = _Events(self)

    def until(self, seconds: float) -> Recording:
        for step in range(int(seconds / STEP_SEC)):
            libsumo.simulationStep()
            self._keep(step)
            if step % 5 == 0:
                self.events.stir(step)
        return self.recording

    def _keep(self, step: int) -> None:
        v = libsumo.vehicle
        for name in v.getIDList():
            driven = self._driven(name, step, v)
            driven.xy.append(v.getPosition(name))
            driven.angle.append(v.getAngle(name))
            driven.speed.append(v.getSpeed(name))
            driven.lane.append(v.getLaneID(name))
            driven.lane_pos.append(v.getLanePosition(name))
            driven.lateral.append(v.getLateralLanePosition(name))
            driven.reason.append(self._reason(name) if driven.kind in demand.CARS else None)
        for name in libsumo.person.getIDList():
            driven = self._driven(name, step, libsumo.person)
            driven.xy.append(libsumo.person.getPosition(name))
            driven.angle.append(libsumo.person.getAngle(name))
            driven.speed.append(libsumo.person.getSpeed(name))
            driven.lane.append(libsumo.person.getLaneID(name))

    def _driven(self, name: str, step: int, domain: Any) -> Driven:
        known = self.recording.driven.get(name)
        if known is None:
            is_person = domain is libsumo.person
            kind = "walker" if is_person else domain.getTypeID(name)
            size = (0.55, 0.55, 1.75)
            if not is_person:
                size = (domain.getLength(name), domain.getWidth(name), domain.getHeight(name))
            known = self.recording.driven[name] = Driven(kind, *size, first_step=step)
        return known

    def _reason(self, name: str) -> Reason:
        v = libsumo.vehicle
        speed, reason = v.getSpeed(name), Reason()
        reason.free_mps2 = self._change(name, v.getFollowSpeed(name, speed, FAR_GAP_M, FAR_MPS, 4.5, ""), speed)
        leader = v.getLeader(name, LOOK_M)
        if leader and leader[0] and leader[1] < LOOK_M:
            other, gap = leader
            reason.leader, reason.leader_gap_m, reason.leader_mps = other, gap + v.getMinGap(name), v.getSpeed(other)
            allowed = v.getFollowSpeed(name, speed, max(gap, 0.0), reason.leader_mps, v.getDecel(other), other)
            reason.follow_mps2 = self._change(name, allowed, speed)
        self._junction(name, speed, reason)
        self._beside(name, speed, reason)
        reason.left, reason.right = v.getLaneChangeState(name, 1)[0], v.getLaneChangeState(name, -1)[0]
        return reason

    def _beside(self, name: str, speed: float, reason: Reason) -> None:
        """Note the vehicle ahead on a neighbouring lane that would hold ego back most."""
        v = libsumo.vehicle
        for other, gap in (*v.getLeftLeaders(name), *v.getRightLeaders(name)):
            if gap < 0.0 or gap > LOOK_M:
                continue
            allowed = v.getFollowSpeed(name, speed, gap, v.getSpeed(other), v.getDecel(other), other)
            if self._change(name, allowed, speed) < reason.beside_mps2:
                reason.beside, reason.beside_mps2 = other, self._change(name, allowed, speed)

    def _change(self, name: str, allowed: float, speed: float) -> float:
        return (allowed - speed) / STEP_SEC

    def _junction(self, name: str, speed: float, reason: Reason) -> None:
        v = libsumo.vehicle
        lane = v.getLaneID(name)
        if not lane:
            return
        ahead = self.recording.lanes[lane][2] - v.getLanePosition(name)
        inside = lane.startswith(":")
        if inside:
            reason.foes = tuple(dict.fromkeys(foe[0] for foe in v.getJunctionFoes(name, FOES_M) if foe[7]))
        while lane.startswith(":"):  # within a junction: the next one comes after the lane behind this one
            link = libsumo.lane.getLinks(lane)[0]
            lane = link[4] or link[0]
            ahead += self.recording.lanes[lane][2]
        factor = v.getSpeedFactor(name)
        first = True
        for target, _, is_open, _, via, state, direction, _length in _links(name):
            if first:
                reason.link_state, reason.link_direction, reason.link_open = state, direction, is_open
                reason.link_m, reason.link_lane = ahead, via or target
                reason.link_mps2 = self._change(
                    name, v.getStopSpeed(name, speed, max(ahead - STOP_BEFORE_M, 0.0)), speed
                )
                if ahead < 60.0 and not inside:
                    foes = sorted(v.getJunctionFoes(name, FOES_M), key=lambda foe: foe[2])
                    reason.foes = tuple(dict.fromkeys(foe[0] for foe in foes if foe[7]))
                first = False
            for part in (via, target):
                if not part:
                    continue
                limit = self.limits[part] * factor
                if limit < speed + 0.5:
                    needed = (limit**2 - speed**2) / (2 * max(ahead, 1.0))
                    if needed < reason.limit_mps2:
                        reason.limit_mps, reason.limit_m, reason.limit_lane = limit, ahead, part
                        reason.limit_mps2 = needed
                ahead += self.recording.lanes[part][2]
            if ahead > LIMIT_LOOK_M:
                break


def _links(name: str) -> list[tuple]:
    links: list[tuple] = libsumo.vehicle.getNextLinks(name)
    return links


def _lanes() -> dict[str, tuple[float, float, float, str]]:
    """Return speed limit, width, length and direction of each lane."""
    lanes: dict[str, tuple[float, float, float, str]] = {}
    directions: dict[str, str] = {}
    for lane in libsumo.lane.getIDList():
        for link in libsumo.lane.getLinks(lane):
            if link[4] and not lane.startswith(":"):
                directions[link[4]] = link[6]
            elif lane.startswith(":") and link[4]:  # a junction lane in two parts
                directions[link[4]] = directions.get(lane, link[6])
    for lane in libsumo.lane.getIDList():
        domain = libsumo.lane
        lanes[lane] = (
            domain.getMaxSpeed(lane),
            domain.getWidth(lane),
            domain.getLength(lane),
            directions.get(lane, ""),
        )
    return lanes


class _Events:
    """Scripted surprises: somebody brakes hard, or cuts in. The one who does so is never ego afterwards."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.release: dict[str, int] = {}
        self.may: dict[str, bool] = {}

    def stir(self, step: int) -> None:
        """Now and then make one vehicle do something."""
        v = libsumo.vehicle
        for name in [name for name, at in self.release.items() if at <= step]:
            del self.release[name]
            if name in v.getIDList():
                v.setLaneChangeMode(name, 1621)
                v.setSpeed(name, -1)
        name = self.run.recording.name
        if name == "street" or step < 200:
            return
        chance = 0.12 if name == "motorway" else 0.05
        if self.run.rng.random() < chance:
            self._brake(step)
        if name in ("motorway", "arterial") and self.run.rng.random() < CUT_IN_CHANCE:
            self._cut_in(step)

    def _cars(self) -> list[str]:
        driven = self.run.recording.driven
        cars = [n for n in libsumo.vehicle.getIDList() if driven[n].kind in demand.CARS and n not in self.release]
        for name in cars:
            self.may.setdefault(name, self.run.rng.random() < SCRIPTED_SHARE)
        cars = [name for name in cars if self.may[name]]
        self.run.rng.shuffle(cars)
        return cars

    def _brake(self, step: int) -> None:
        v = libsumo.vehicle
        for name in self._cars():
            follower, gap = v.getFollower(name, 60.0)
            if self.may.get(follower):
                continue
            speed = v.getSpeed(name)
            if not follower or gap > 45.0 or gap < 4.0 or speed < 8.0:
                continue
            target = max(0.0, speed - self.run.rng.uniform(6.0, 14.0))
            v.slowDown(name, target, (speed - target) / self.run.rng.uniform(2.0, 4.0))
            self._note(name, step, 60)
            return

    def _cut_in(self, step: int) -> None:
        v = libsumo.vehicle
        driven = self.run.recording.driven
        for name in self._cars():
            road, lane, at, speed = v.getRoadID(name), v.getLaneIndex(name), v.getLanePosition(name), v.getSpeed(name)
            if road.startswith(":") or speed < 5.0 or libsumo.lane.getLength(f"{road}_{lane}") - at < 100.0:
                continue
            for other in libsumo.edge.getLastStepVehicleIDs(road):
                if (
                    driven[other].kind not in demand.CARS
                    or self.may.get(other)
                    or abs(v.getLaneIndex(other) - lane) != 1
                ):
                    continue
                gap = at - driven[name].length - v.getLanePosition(other)
                if not 5.0 < gap < 8.0 + 0.7 * speed or abs(v.getSpeed(other) - speed) > 6.0:
                    continue
                ahead, distance = v.getLeader(other, LOOK_M) or ("", LOOK_M)
                if ahead and ahead != name and distance < gap + driven[name].length + 4.0:
                    continue  # no room
                v.setLaneChangeMode(name, 512)
                v.changeLane(name, v.getLaneIndex(other), 8.0)
                if self.run.rng.random() < 0.8:
                    v.slowDown(name, max(3.0, v.getSpeed(other) - self.run.rng.uniform(1.0, 5.0)), 2.0)
                self._note(name, step, 80)
                return

    def _note(self, name: str, step: int, steps: int) -> None:
        self.release[name] = step + steps
        self.run.recording.scripted.setdefault(name, step)


def main() -> None:
    """Run ``family seed seconds folder binaries`` and leave ``recording.pickle`` in the folder."""
    family, seed, seconds, folder, binaries = sys.argv[1:]
    recording = run(family, int(seed), float(seconds), Path(folder), Path(binaries))
    with (Path(folder) / "recording.pickle").open("wb") as file:
        pickle.dump(recording, file)


if __name__ == "__main__":
    main()
