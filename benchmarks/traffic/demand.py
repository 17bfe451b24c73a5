"""Who drives, cycles, walks and parks in a scenario."""

import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.traffic.network import Plan

CARS = ("car_calm", "car", "car_quick")
# Sizes are those of common European vehicles; IDM's parameters are near those of Treiber and Kesting, Traffic Flow
# Dynamics (2013), Table 11.2.
_TYPES = """
<vType id="car_calm" vClass="passenger" length="4.4" width="1.8" height="1.5"
 carFollowModel="IDM" accel="1.4" decel="2.0" emergencyDecel="7" tau="1.6" minGap="2.5"
 speedFactor="normc(0.93,0.05,0.8,1.1)" {lateral}/>
<vType id="car" vClass="passenger" length="4.7" width="1.85" height="1.5" carFollowModel="IDM" accel="1.8" decel="2.3"
 emergencyDecel="8" tau="1.3" minGap="2.2" speedFactor="normc(1.0,0.06,0.85,1.2)" {lateral}/>
<vType id="car_quick" vClass="passenger" length="4.2" width="1.8" height="1.45"
 carFollowModel="IDM" accel="2.3" decel="2.8" emergencyDecel="8" tau="1.1" minGap="2.0"
 speedFactor="normc(1.08,0.06,0.95,1.3)" {quick}/>
<vType id="truck" vClass="truck" length="10.5" width="2.5" height="3.4" carFollowModel="IDM" accel="0.9" decel="1.8"
 emergencyDecel="6" tau="1.6" minGap="3" maxSpeed="{truck_speed}" speedFactor="normc(0.85,0.05,0.7,0.95)" {lateral}/>
<vType id="bus" vClass="bus" length="12" width="2.5" height="3.2" carFollowModel="IDM" accel="1.0" decel="1.8"
 emergencyDecel="6" tau="1.5" minGap="3" maxSpeed="23" speedFactor="normc(0.9,0.05,0.75,1.0)" {lateral}/>
<vType id="tractor" vClass="truck" length="6" width="2.3" height="3.0" carFollowModel="IDM" accel="0.8" decel="1.8"
 emergencyDecel="5" tau="1.5" minGap="3" maxSpeed="9" speedFactor="1" {lateral}/>
<vType id="bicycle" vClass="bicycle" length="1.8" width="0.65" height="1.75"
 carFollowModel="IDM" accel="1.0" decel="2.5" emergencyDecel="5" tau="1" minGap="1" maxSpeed="5.5"
 speedFactor="normc(1,0.1,0.7,1.2)" {bicycle}/>
<vType id="parked" vClass="passenger" length="4.5" width="1.8" height="1.5" maxSpeed="3" {parked}/>
<vType id="walker" vClass="pedestrian" speedFactor="normc(1,0.12,0.7,1.3)"/>
"""
_ROLLS = 'lcMaxSpeedLatStanding="0" lcMaxSpeedLatFactor="0.15"'  # no vehicle moves sideways without rolling
_PLAIN = f'lcStrategic="2" lcSpeedGain="1.2" lcKeepRight="0.4" {_ROLLS}'
_SUBLANE = (
    'latAlignment="center" maxSpeedLat="1.0" lcSublane="1" lcPushy="0" minGapLat="0.5" lcStrategic="3" '
    'lcKeepRight="0" lcMaxSpeedLatStanding="0" lcMaxSpeedLatFactor="0.12"'
)


@dataclass(frozen=True)
class Demand:
    """A scenario's traffic.

    Attributes:
        file: routes for SUMO.
        sublane_m: lateral resolution, or None where lane changes alone move vehicles sideways.
        parked: ids of vehicles that stand for good.
    """

    file: Path
    sublane_m: float | None
    parked: frozenset[str]


def write(plan: Plan, rng: random.Random, folder: Path, seconds: float) -> Demand:
    """Write vehicles and pedestrians of a scenario of ``seconds``."""
    sublane = plan.name == "street"
    timed: list[tuple[float, str]] = _vehicles(plan, rng, seconds) + _walkers(plan, rng, seconds)
    parked = _parked(plan, rng)
    timed += [(0.0, text) for text in parked.values()]
    timed.sort(key=lambda item: item[0])
    types = _TYPES.format(
        lateral=_SUBLANE if sublane else _PLAIN,
        quick=_SUBLANE if sublane else 'lcStrategic="2" lcSpeedGain="3" lcKeepRight="0.2" lcAssertive="1.6" ' + _ROLLS,
        bicycle='latAlignment="right" minGapLat="0.4" maxSpeedLat="0.6"' if sublane else "",
        parked='latAlignment="right" minGapLat="0.3"' if sublane else "",
        truck_speed=24 if plan.name == "motorway" else 15,
    )
    file = folder / "routes.xml"
    file.write_text(f"<routes>{types}\n" + "\n".join(text for _, text in timed) + "\n</routes>\n")
    return Demand(file, 0.3 if sublane else None, frozenset(parked))


def _shares(plan: Plan) -> dict[str, float]:
    shares = {"car_calm": 0.25, "car": 0.4, "car_quick": 0.25, "truck": 0.05, "bus": 0.03}
    if plan.name == "motorway":
        shares |= {"truck": 0.16, "bus": 0.02}
    if plan.name == "rural":
        shares |= {"tractor": 0.06, "bicycle": 0.03}
    if plan.name in ("town", "arterial"):
        shares |= {"bicycle": 0.03}
    if plan.name == "street":
        shares = {"car_calm": 0.3, "car": 0.45, "car_quick": 0.2, "bicycle": 0.08}
    return shares


def _flow(plan: Plan, source: str, rng: random.Random) -> float:
    """Return vehicles per second that enter at an edge."""
    if plan.name == "arterial":
        return rng.uniform(0.07, 0.2) if source[0] in "we" else rng.uniform(0.02, 0.07)
    if plan.name == "town":
        return rng.uniform(0.015, 0.045)
    if plan.name == "rural":
        return rng.uniform(0.03, 0.11) if source[0] == "r" else rng.uniform(0.02, 0.05)
    if plan.name == "motorway":
        return rng.uniform(0.25, 0.75) if source == "a-b" else rng.uniform(0.05, 0.12)
    return rng.uniform(0.03, 0.08)


def _vehicles(plan: Plan, rng: random.Random, seconds: float) -> list[tuple[float, str]]:
    shares = _shares(plan)
    trips: list[tuple[float, str]] = []
    for source in plan.sources:
        rate, t = _flow(plan, source, rng), rng.uniform(0, 8)
        sinks = [sink for sink in plan.sinks if sink.split("-")[::-1] != source.split("-")]
        while t < seconds:
            kind = rng.choices(list(shares), list(shares.values()))[0]
            sink = rng.choice(sinks)
            if plan.name in ("arterial", "rural") and rng.random() < 0.45:  # much of the traffic goes straight through
                sink = rng.choice([name for name in sinks if name[-1] in "we" or name[-2:-1] == "r" or "-r" in name])
            number = len(trips)
            pace = "desired" if plan.name == "motorway" else "avg"
            lane = "best" if plan.name != "motorway" else ("free" if kind in CARS else "first")
            if source == "p-b":
                lane = "first"
            trips.append(
                (
                    t,
                    f'<trip id="{plan.name[0]}{source}.{number}" type="{kind}" depart="{t:.1f}" from="{source}" '
                    f'to="{sink}" departLane="{lane}" departSpeed="{pace}"/>',
                )
            )
            t += rng.expovariate(rate)
    return trips


def _walkers(plan: Plan, rng: random.Random, seconds: float) -> list[tuple[float, str]]:
    walkers: list[tuple[float, str]] = []
    for start, end in plan.footpaths:
        t = rng.uniform(0, 30)
        while t < seconds:
            count = rng.choice([1, 1, 1, 2, 3])
            for _ in range(count):
                name = f"walker{len(walkers)}"
                text = f'<person id="{name}" type="walker" depart="{t:.1f}" departPos="{rng.uniform(20, 60):.0f}">'
                walkers.append((t, f'{text}<walk from="{start}" to="{end}" arrivalPos="30"/></person>'))
                t += rng.uniform(0.3, 1.5)
            t += rng.expovariate(1 / 14)
    return walkers


def _parked(plan: Plan, rng: random.Random) -> dict[str, str]:
    """Return cars that stand on the road, by id."""
    parked: dict[str, str] = {}
    if plan.name == "street":
        for edge in plan.street:
            position = rng.uniform(45, 90)
            while position < 215:
                name = f"parked{len(parked)}"
                # Off the lane's centre to the right: half of the car or less is on the lane.
                lateral = -rng.uniform(1.3, 1.9)
                parked[name] = (
                    f'<vehicle id="{name}" type="parked" depart="0" departPos="{position:.1f}" departSpeed="0" '
                    f'departLane="0" departPosLat="{lateral:.2f}"><route edges="{edge}"/>'
                    f'<stop lane="{edge}_0" endPos="{position + 0.5:.1f}" duration="9999" posLat="{lateral:.2f}"/>'
                    "</vehicle>"
                )
                position += rng.choice([rng.uniform(7, 10), rng.uniform(60, 110), rng.uniform(70, 130)])
    if plan.name == "arterial":
        edges = [text.split('id="')[1].split('"')[0] for text in plan.edges]
        for edge in rng.sample([edge for edge in edges if edge[0] == "j" and "-j" in edge], 2):
            name, position = f"parked{len(parked)}", rng.uniform(90, 130)
            parked[name] = (
                f'<vehicle id="{name}" type="parked" depart="0" departPos="{position:.1f}" departSpeed="0" '
                f'departLane="1"><route edges="{edge}"/>'
                f'<stop edge="{edge}" lane="{edge}_1" endPos="{position + 0.5:.1f}" duration="9999"/></vehicle>'
            )
    return parked
