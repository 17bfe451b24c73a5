"""Road networks of the scenarios, as plain XML for netconvert."""

import itertools
import math
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

LATERAL_MPS2 = 1.8  # what drivers accept in a curve; comfort criterion of road design (AASHTO: about 0.2 g)
CAR_ONLY = "passenger truck delivery"


@dataclass
class Plan:
    """A network to be built, and where its traffic comes from and goes to.

    Attributes:
        name: the family of scenarios.
        nodes, edges: XML elements.
        crossings: XML elements for pedestrians.
        sources, sinks: ids of edges at the network's border.
        footpaths: pairs of edges that pedestrians walk between.
        options: more options of netconvert.
        street: edges along which cars may be parked.
    """

    name: str
    nodes: list[str] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    crossings: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    sinks: list[str] = field(default_factory=list)
    footpaths: list[tuple[str, str]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    street: list[str] = field(default_factory=list)

    def node(self, name: str, x: float, y: float, kind: str = "priority", **more: object) -> None:
        """Add a node of netconvert's type ``kind``."""
        self.nodes.append(_element("node", id=name, x=round(x, 2), y=round(y, 2), type=kind, **more))

    def edge(self, start: str, end: str, lanes: int, speed: float, priority: int = 1, **more: object) -> str:
        """Add a one-way edge and return its id."""
        name = f"{start}-{end}"
        attributes = {"from": start, "to": end, "numLanes": lanes, "speed": round(speed, 2), "priority": priority}
        self.edges.append(_element("edge", id=name, **attributes, **more))
        return name

    def road(self, start: str, end: str, lanes: int, speed: float, priority: int = 1, **more: object) -> None:
        """Add an edge in each direction."""
        self.edge(start, end, lanes, speed, priority, **more)
        self.edge(end, start, lanes, speed, priority, **more)

    def border(self, outer: str, inner: str) -> None:
        """Let traffic enter and leave between two nodes."""
        self.sources.append(f"{outer}-{inner}")
        self.sinks.append(f"{inner}-{outer}")


def _element(tag: str, **attributes: object) -> str:
    return f"<{tag} " + " ".join(f'{key}="{value}"' for key, value in attributes.items()) + "/>"


def build(plan: Plan, folder: Path, binaries: Path) -> Path:
    """Run netconvert and return the network's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for tag, elements in (("nodes", plan.nodes), ("edges", plan.edges), ("connections", plan.crossings)):
        (folder / f"{tag}.xml").write_text(f"<{tag}>\n" + "\n".join(elements) + f"\n</{tag}>\n")
    network = folder / "net.xml"
    command = [str(binaries / "netconvert"), "--node-files", str(folder / "nodes.xml")]
    command += ["--edge-files", str(folder / "edges.xml"), "--connection-files", str(folder / "connections.xml")]
    command += ["--output-file", str(network), "--no-turnarounds", "true", "--no-warnings", "true"]
    command += ["--junctions.internal-link-detail", "24", "--junctions.corner-detail", "8"]
    command += ["--junctions.limit-turn-speed", str(LATERAL_MPS2), *plan.options]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return network


def arterial(rng: random.Random) -> Plan:
    """A road of several lanes through signalised junctions, with turns, pedestrians, and a stop in between."""
    plan = Plan("arterial")
    speed = rng.choice([13.9, 13.9, 16.7])
    lanes = rng.choice([2, 2, 3])
    spacing = [rng.uniform(200, 330) for _ in range(4)]
    x, names = 0.0, ["w"]
    plan.node("w", -240, 0)
    for i, step in enumerate(spacing):
        y = rng.uniform(-6, 6)
        plan.node(f"j{i}", x, y, "traffic_light", radius=rng.choice([6, 9, 12]))
        plan.node(f"n{i}", x + rng.uniform(-15, 15), y + 170)
        plan.node(f"s{i}", x + rng.uniform(-15, 15), y - 170)
        names.append(f"j{i}")
        x += step
    plan.node("e", x, 0)
    names.append("e")
    for a, b in itertools.pairwise(names):
        plan.road(a, b, lanes, speed, 3)
    for i in range(len(spacing)):
        side_lanes = rng.choice([1, 1, 2])
        for end in "ns":
            plan.road(f"{end}{i}", f"j{i}", side_lanes, 13.9, 1)
            plan.border(f"{end}{i}", f"j{i}")
        plan.footpaths += [(f"n{i}-j{i}", f"j{i}-s{i}"), (f"s{i}-j{i}", f"j{i}-n{i}")]
    plan.border("w", "j0")
    plan.border("e", names[-2])
    plan.options += ["--sidewalks.guess", "--sidewalks.guess.max-speed", "17", "--crossings.guess"]
    plan.options += ["--crossings.guess.speed-threshold", "17", "--tls.left-green.time", str(rng.choice([0, 6, 8]))]
    plan.options += ["--tls.cycle.time", str(rng.choice([50, 60, 70]))]
    return plan


def town(rng: random.Random) -> Plan:
    """Small streets: priority, yield, all-way stop, right before left, and zebra crossings."""
    plan = Plan("town")
    columns, rows = 4, 3
    kinds = ["priority", "priority", "allway_stop", "priority_stop", "right_before_left", "priority"]
    for i in range(columns):
        for j in range(rows):
            x, y = i * 150 + rng.uniform(-15, 15), j * 140 + rng.uniform(-10, 10)
            plan.node(f"t{i}{j}", x, y, rng.choice(kinds), radius=rng.choice([4, 6, 8]))
    speed = rng.choice([11.1, 13.9])
    for i in range(columns):
        for j in range(rows):
            if i + 1 < columns:
                _street(plan, f"t{i}{j}", f"t{i + 1}{j}", (i, j), (i + 1, j), speed, 2, zebra=(i + j) % 2 == 0)
            if j + 1 < rows:
                _street(plan, f"t{i}{j}", f"t{i}{j + 1}", (i, j), (i, j + 1), 11.1, 1, zebra=False)
    for j in range(rows):
        for i, out in ((0, -160), (columns - 1, (columns - 1) * 150 + 160)):
            plan.node(f"b{i}{j}", out, j * 140)
            plan.road(f"b{i}{j}", f"t{i}{j}", 1, speed, 2)
            plan.border(f"b{i}{j}", f"t{i}{j}")
    for i in range(columns):
        for j, out in ((0, -150), (rows - 1, (rows - 1) * 140 + 150)):
            plan.node(f"v{i}{j}", i * 150, out)
            plan.road(f"v{i}{j}", f"t{i}{j}", 1, 11.1, 1)
            plan.border(f"v{i}{j}", f"t{i}{j}")
    plan.options += ["--sidewalks.guess", "--sidewalks.guess.max-speed", "15"]
    return plan


def _street(
    plan: Plan, a: str, b: str, at: tuple[int, int], to: tuple[int, int], speed: float, priority: int, *, zebra: bool
) -> None:
    """Add a street between two junctions, with a zebra crossing half-way where asked."""
    if not zebra:
        plan.road(a, b, 1, speed, priority)
        return
    middle = f"z{a}{b}"
    plan.node(middle, (at[0] + to[0]) * 75 + 5, (at[1] + to[1]) * 70 + 5, "priority")
    plan.road(a, middle, 1, speed, priority)
    plan.road(middle, b, 1, speed, priority)
    crossed = f"{a}-{middle} {middle}-{a}"
    plan.crossings.append(_element("crossing", node=middle, edges=crossed, priority="true", width=4))
    plan.footpaths += [(f"{a}-{middle}", f"{b}-{middle}"), (f"{b}-{middle}", f"{a}-{middle}")]


def rural(rng: random.Random) -> Plan:
    """A winding road of one lane a direction, with side roads that yield."""
    plan = Plan("rural")
    fast = rng.choice([19.4, 22.2, 25.0])
    x, y, heading = 0.0, 0.0, 0.0
    plan.node("r0", x, y)
    number = 0
    for part in range(9):
        if part % 2 == 0:
            length = rng.uniform(140, 300)
            x, y = x + length * math.cos(heading), y + length * math.sin(heading)
            shape: list[tuple[float, float]] = []
            speed = fast
        else:
            radius, turn = rng.choice([60, 75, 90, 130, 200]), rng.uniform(0.5, 1.4) * rng.choice([-1, 1])
            if abs(heading + turn) > 1.6:
                turn = -turn
            shape, x, y, heading = _arc(x, y, heading, radius, turn)
            speed = min(fast, math.sqrt(LATERAL_MPS2 * radius))
        here, there = f"r{number}", f"r{number + 1}"
        plan.node(there, x, y)
        if shape:
            plan.edge(here, there, 1, speed, 3, shape=_points(shape))
            plan.edge(there, here, 1, speed, 3, shape=_points(shape[::-1]))
        else:
            plan.road(here, there, 1, speed, 3)
        if part in (2, 4, 6) and rng.random() < 0.7:
            away = heading + rng.choice([-1, 1]) * rng.uniform(1.2, 1.9)
            plan.node(f"m{number}", x + 160 * math.cos(away), y + 160 * math.sin(away))
            plan.road(f"m{number}", there, 1, 13.9, 1)
            plan.border(f"m{number}", there)
        number += 1
    plan.border("r0", "r1")
    plan.border(f"r{number}", f"r{number - 1}")
    return plan


def _arc(
    x: float, y: float, heading: float, radius: float, turn: float
) -> tuple[list[tuple[float, float]], float, float, float]:
    """Return the points of an arc, and where it ends."""
    count = max(8, int(abs(turn) * radius / 4))
    points = [(x, y)]
    for _ in range(count):
        heading += turn / count / 2
        step = 2 * radius * math.sin(abs(turn) / count / 2)
        x, y = x + step * math.cos(heading), y + step * math.sin(heading)
        heading += turn / count / 2
        points.append((x, y))
    return points, x, y, heading


def _points(shape: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in shape)


def motorway(rng: random.Random) -> Plan:
    """Two to three lanes with an on-ramp that ends and an off-ramp that begins."""
    plan = Plan("motorway")
    lanes, speed = rng.choice([2, 3, 3]), rng.choice([27.8, 30.6, 33.3])
    bend = rng.uniform(-90, 90)
    ends = {"a": 0, "b": 600, "c": 850, "d": 1500, "e": 1720, "f": 2500}
    for name, x in ends.items():
        plan.node(name, x, _sway(x, bend))
    plan.node("p", 250, _sway(250, bend) - 60)
    plan.node("q", 2050, _sway(2050, bend) - 60)
    for start, end, more in (("a", "b", 0), ("b", "c", 1), ("c", "d", 0), ("d", "e", 1), ("e", "f", 0)):
        shape = [(x, _sway(x, bend)) for x in range(ends[start], ends[end] + 1, 10)]
        plan.edge(start, end, lanes + more, speed, 5, shape=_points(shape))
    ramp = rng.choice([16.7, 19.4])
    plan.edge("p", "b", 1, ramp, 2)
    plan.edge("e", "q", 1, ramp, 2)
    for start, end, of_start, of_end in (("a-b", "b-c", lanes, 1), ("b-c", "c-d", lanes, -1), ("c-d", "d-e", lanes, 1)):
        for lane in range(of_start):
            source, target = (lane + 1, lane) if of_end == -1 else (lane, lane + 1)
            plan.crossings.append(_connection(start, end, source, target))
    plan.crossings.append(_connection("p-b", "b-c", 0, 0))
    for lane in range(lanes):
        plan.crossings.append(_connection("d-e", "e-f", lane + 1, lane))
    plan.crossings.append(_connection("d-e", "e-q", 0, 0))
    plan.sources, plan.sinks = ["a-b", "p-b"], ["e-f", "e-q"]
    return plan


def _sway(x: float, bend: float) -> float:
    """Return how far a wide curve and its counter-curve have led aside."""
    return bend * (1 - math.cos(math.pi * x / 2500)) / 2


def _connection(start: str, end: str, source: int, target: int) -> str:
    return _element("connection", **{"from": start, "to": end, "fromLane": source, "toLane": target})


def street(rng: random.Random) -> Plan:
    """A wide street with cars parked half on the lane, and bicycles; the same with two lanes a direction."""
    plan = Plan("street")
    lanes, speed = rng.choice([1, 1, 2]), rng.choice([8.3, 11.1, 13.9])
    xs = [0.0, 260.0, 540.0, 800.0]
    for i, x in enumerate(xs):
        plan.node(f"k{i}", x, rng.uniform(-8, 8))
    for i in range(len(xs) - 1):
        plan.road(f"k{i}", f"k{i + 1}", lanes, speed, 2, width=rng.choice([4.2, 4.5]) if lanes == 1 else 3.3)
        plan.street += [f"k{i}-k{i + 1}", f"k{i + 1}-k{i}"]
    plan.border("k0", "k1")
    plan.border("k3", "k2")
    return plan


FAMILIES = {plan.__name__: plan for plan in (arterial, town, rural, motorway, street)}
