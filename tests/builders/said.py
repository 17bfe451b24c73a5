"""Sentences with what they say, in the short form of tests/data/sentences.txt."""

from dataclasses import dataclass
from pathlib import Path

from coc_labeling.reading import Reading, SaidCause, SaidDecision
from coc_labeling.schema import Category

DATA = Path(__file__).parents[1] / "data"
_SHORT = {
    Category.CRITICAL_OBJECT: "object",
    Category.TRAFFIC_LIGHT: "light",
    Category.TRAFFIC_CONTROL: "control",
    Category.ROAD_EVENT: "event",
    Category.LANE: "lane",
    Category.ROUTING_INTENT: "route",
    Category.ODD_CONSTRAINT: "odd",
}


@dataclass(frozen=True)
class Sentence:
    """A sentence, the decisions and causes that it says, and whether the reader is known to misread it."""

    text: str
    decisions: str
    causes: str
    missed: bool = False


def sentences(name: str) -> list[Sentence]:
    """Return the sentences of a file of tests/data."""
    lines = (DATA / name).read_text("utf-8").splitlines()
    return [_sentence(line) for line in lines if line.strip() and not line.startswith("#")]


def _sentence(line: str) -> Sentence:
    text, does, sees, *missed = (part.strip() for part in line.split("|"))
    return Sentence(text, "" if does == "-" else does, sees, missed == ["missed"])


def decisions_of(reading: Reading) -> str:
    """Return the decisions of a reading in short form."""
    return "; ".join(map(_decision, reading.decisions))


def causes_of(reading: Reading) -> str:
    """Return the causes of a reading in short form."""
    return "; ".join(map(_cause, reading.causes))


def mirrored(text: str) -> str:
    """Return a text with left and right exchanged."""
    swapped = text
    for one, other in (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT")):
        swapped = swapped.replace(one, "\0").replace(other, one).replace("\0", other)
    return swapped


def _decision(said: SaidDecision) -> str:
    name = str(said.decision) if said.decision is not None else "-"
    parts = [name, *(str(part) for part in (said.motion, said.direction) if part is not None)]
    return "/".join(parts) + (f"@{said.part}" if said.part else "") + ("!" if said.negated else "")


def _cause(said: SaidCause) -> str:
    parts = [_SHORT[said.category]]
    parts += [str(part) for part in (said.relation, said.side, said.user_class, said.colour) if part is not None]
    return "/".join(parts) + "".join(f"+{state}" for state in said.states) + ("!" if said.negated else "")
