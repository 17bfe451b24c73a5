"""The scenes worth a look: those furthest from what was driven, and those that contradict their own sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alpamayo_r1.evaluation.consistency import Judged
from alpamayo_r1.evaluation.displacement import HORIZONS_SEC
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.measuring import SceneResult, judged_samples
from alpamayo_r1.evaluation.predictions import Scene, lines_of, parse
from alpamayo_r1.evaluation.sentences import Decisions

WORST = 8
# The longest horizon that a scene has counts.
_RANKED_BY = ("min_ade", *(f"min_ade@{horizon:g}" for horizon in reversed(HORIZONS_SEC)))


@dataclass(frozen=True)
class WorstScene:
    """One scene with all that is needed to show it.

    Attributes:
        result: what was measured.
        scene: its trajectories.
        judged: its samples.
        label: what its label decides, where there is one.
    """

    result: SceneResult
    scene: Scene
    judged: tuple[Judged, ...]
    label: Decisions | None


def furthest(evaluated: Evaluated, most: int = WORST) -> list[WorstScene]:
    """Return the scenes with the largest minADE over the longest horizon that they have, the worst first."""
    values = np.full(len(evaluated), np.nan)
    for key in _RANKED_BY:
        values = np.where(np.isnan(values), evaluated.column(key), values)
    order = np.argsort(-values, kind="stable")  # NaN goes last
    return _shown(evaluated, [int(row) for row in order[:most] if not np.isnan(values[row])])


def most_contradicted(evaluated: Evaluated, most: int = WORST) -> list[WorstScene]:
    """Return the scenes with the gravest contradictions; of equal ones those with more contradicted samples first."""
    share = evaluated.column("contradicted")
    ranked = sorted(range(len(evaluated)), key=lambda row: (-evaluated.scenes[row].severity, -share[row], row))
    return _shown(evaluated, [row for row in ranked[:most] if share[row] > 0])


def _shown(evaluated: Evaluated, rows: Sequence[int]) -> list[WorstScene]:
    """Read the scenes of some rows once more: trajectories are not kept."""
    wanted = {evaluated.scenes[row].line[:2]: row for row in rows}
    found = {}
    for line in lines_of(sorted({path for path, _ in wanted})):
        row = wanted.get(line[:2])
        if row is None:
            continue
        scene = parse(line)
        found[row] = WorstScene(evaluated.scenes[row], scene, tuple(judged_samples(scene)), evaluated.labels[row])
        if len(found) == len(wanted):
            break
    return [found[row] for row in rows if row in found]
