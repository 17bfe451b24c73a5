"""The page of contradictions: how often sentences of each decision are contradicted, and which ones, with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from alpamayo_r1.evaluation.contradictions import contradicted_scenes
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.measures import BY_KEY
from alpamayo_r1.evaluation.measuring import Contradiction, SceneResult
from alpamayo_r1.evaluation.plan import plan_figure
from alpamayo_r1.evaluation.rendering import write_html
from alpamayo_r1.evaluation.summarising import Group, Summary
from alpamayo_r1.evaluation.worst import WorstScene, read_again

MOST_PICTURED = 4  # scenes of a decision
MOST_DECISIONS = 12  # of a model; the rarer ones are listed without pictures
MOST_LISTED = 100  # further scenes of a decision; all are in the file


@dataclass(frozen=True)
class Against:
    """A contradicted sample: its number from 1, what it says, what speaks against it, and how grave that is."""

    number: int
    sentence: str
    reasons: list[str]
    severity: float


@dataclass(frozen=True)
class DecisionSection:
    """Scenes in which sentences of one decision are contradicted.

    Attributes:
        name: of the decision.
        scenes: how many there are.
        pictured: the gravest, each with its plan from above.
        listed: the next ones, each with the contradicted samples of that decision.
    """

    name: str
    scenes: int
    pictured: list[tuple[WorstScene, str]]
    listed: list[tuple[SceneResult, list[Against]]]

    @property
    def left_out(self) -> int:
        """How many scenes are in the file alone."""
        return self.scenes - len(self.pictured) - len(self.listed)


@dataclass(frozen=True)
class KindShares:
    """How often sentences are contradicted in the groups of one kind: each with its name, by model, None without it."""

    kind: str
    rows: list[tuple[str, list[Group | None]]]


def write_gallery(path: str, summaries: Sequence[Summary]) -> None:
    """Write the page."""
    content = {
        "summaries": summaries,
        "sections": [_sections(own.evaluated) for own in summaries],
        "shares": _shares([_groups(own) for own in summaries]),
        "contradicted": BY_KEY["contradicted"],
    }
    write_html(path, "contradictions.html", content)


def _groups(summary: Summary) -> tuple[Group, ...]:
    """Return a model's groups; none where it says nothing that can be contradicted, which is not the same as never."""
    return (*summary.by_said, *summary.by_scenario, *summary.by_decision) if summary.by_said else ()


def _shares(models: Sequence[tuple[Group, ...]]) -> list[KindShares]:
    """Return the groups of all models side by side, kind by kind."""
    rows: dict[str, dict[str, list[Group | None]]] = {}
    for number, groups in enumerate(models):
        for group in groups:
            none: list[Group | None] = [None] * len(models)
            rows.setdefault(group.kind, {}).setdefault(group.name, none)[number] = group
    return [KindShares(kind, list(own.items())) for kind, own in rows.items()]


def _sections(evaluated: Evaluated) -> list[DecisionSection]:
    found = contradicted_scenes(evaluated)
    pictured = {name: rows[:MOST_PICTURED] for name, rows in list(found.items())[:MOST_DECISIONS]}
    wanted = sorted({row for rows in pictured.values() for row in rows})
    shown = {one.result.key: (one, plan_figure(one)) for one in read_again(evaluated, wanted)}
    sections = []
    for name, rows in found.items():
        first = [scene for row in pictured.get(name, []) if (scene := shown.get(evaluated.scenes[row].key))]
        listed = [evaluated.scenes[row] for row in rows[len(first) :][:MOST_LISTED]]
        sections.append(DecisionSection(name, len(rows), first, [(one, _samples(one, name)) for one in listed]))
    return sections


def _samples(scene: SceneResult, decision: str) -> list[Against]:
    """Return the contradicted samples of a decision, the gravest first."""
    found: dict[int, list[Contradiction]] = {}
    for one in scene.contradictions:
        if scene.decisions[one.sample].summary == decision:
            found.setdefault(one.sample, []).append(one)
    samples = [
        Against(number + 1, own[0].sentence, [one.reason for one in own], max(one.severity for one in own))
        for number, own in found.items()
    ]
    return sorted(samples, key=lambda one: (-one.severity, one.number))
