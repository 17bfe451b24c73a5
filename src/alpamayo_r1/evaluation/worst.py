"""The scenes worth a look: those far from what was driven, against their own sentence, or far behind another model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alpamayo_r1.evaluation.comparing import common_rows
from alpamayo_r1.evaluation.consistency import Judged
from alpamayo_r1.evaluation.displacement import HORIZONS_SEC
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.measures import KEYS
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
        note: what else is to be said of it.
    """

    result: SceneResult
    scene: Scene
    judged: tuple[Judged, ...]
    label: Decisions | None
    note: str = ""


def furthest(evaluated: Evaluated, most: int = WORST) -> list[WorstScene]:
    """Return the scenes with the largest minADE over the longest horizon that they have, the worst first."""
    values = np.full(len(evaluated), np.nan)
    for key in _RANKED_BY:
        values = np.where(np.isnan(values), evaluated.column(key), values)
    order = np.argsort(-values, kind="stable")  # NaN goes last
    return read_again(evaluated, [int(row) for row in order[:most] if not np.isnan(values[row])])


def most_contradicted(evaluated: Evaluated, most: int = WORST) -> list[WorstScene]:
    """Return the scenes with the gravest contradictions; of equal ones those with more contradicted samples first."""
    share = evaluated.column("contradicted")
    ranked = sorted(range(len(evaluated)), key=lambda row: (-evaluated.scenes[row].severity, -share[row], row))
    return read_again(evaluated, [row for row in ranked[:most] if share[row] > 0])


def most_worsened(base: Evaluated, other: Evaluated, most: int = WORST) -> list[WorstScene]:
    """Return the scenes whose ADE grew most from one model to another, those that grew most first; they are others'."""
    own, others = common_rows(base, other)
    grown = other.column("ade")[others] - base.column("ade")[own]
    order = np.argsort(-grown, kind="stable")  # NaN goes last
    places = [int(place) for place in order[:most] if grown[place] > 0]
    found = {one.result.key: one for one in read_again(other, [int(others[place]) for place in places])}
    ade = {base.scenes[own[place]].key: base.values[own[place], KEYS.index("ade")] for place in places}
    return [replace(one, note=f"ADE of {base.name}: {ade[key]:.2f} m") for key, one in found.items()]


def read_again(evaluated: Evaluated, rows: Sequence[int]) -> list[WorstScene]:
    """Return the scenes of some rows with their trajectories, which are not kept but read once more."""
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
