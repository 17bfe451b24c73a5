"""Two models on the same scenes: differences scene by scene, with intervals, in total and by group."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.intervals import means
from alpamayo_r1.evaluation.measures import BY_KEY, KEYS
from alpamayo_r1.evaluation.summarising import SEED, Group, decisions_of, groups, scenarios_of
from coc_labeling.agreement.resampling import RESAMPLES, Measured
from driving_clips.geometry import Floats

NO_DIFFERENCE = "no scene differs"


@dataclass(frozen=True)
class Comparison:
    """A model against the first one.

    Attributes:
        base, other: names of the first one and of this one.
        scenes, clips: how many both have.
        only_base, only_other: scenes that one has alone.
        differences: of this one minus the first, by key, over scenes that have the measure in both.
        by_scenario, by_decision: the same by what was driven, and by what the labels decide.
        notices: what to beware of.
    """

    base: str
    other: str
    scenes: int
    clips: int
    only_base: int
    only_other: int
    differences: dict[str, Measured]
    by_scenario: tuple[Group, ...]
    by_decision: tuple[Group, ...]
    notices: tuple[str, ...]

    def verdict(self, key: str) -> str:
        """Return better, worse or (not told) nothing, of the second model on all scenes."""
        return verdict(key, self.differences[key])


def verdict(key: str, difference: Measured) -> str:
    """Return better or worse where the interval of a difference leaves out 0, else nothing.

    Example:
        >>> verdict("ade", Measured(-1.0, -1.5, -0.5, "", 30, 30)), verdict("ade", Measured(0.1, -0.2, 0.4, "", 30, 30))
        ('better', '')
    """
    lower = BY_KEY[key].lower_is_better
    if lower is None or difference.low is None or difference.high is None:
        return ""
    if difference.low <= 0.0 <= difference.high:
        return ""
    return "better" if (difference.high < 0.0) == lower else "worse"


def compare(base: Evaluated, other: Evaluated) -> Comparison:
    """Compare a model with the first one, scene by scene; raises EvaluationError where they have none in common."""
    own, others = common_rows(base, other)
    differences, clip = other.values[others] - base.values[own], base.clip[own]
    scenarios, decisions = (
        {kind: [names[row] for row in own] for kind, names in of(base).items()} for of in (scenarios_of, decisions_of)
    )
    return Comparison(
        base.name,
        other.name,
        len(own),
        len(np.unique(clip)),
        len(base) - len(own),
        len(other) - len(own),
        dict(zip(KEYS, mean_differences(differences, clip), strict=True)),
        tuple(groups(differences, clip, scenarios, mean_differences)),
        tuple(groups(differences, clip, decisions, mean_differences)),
        tuple(_notices(base, other)),
    )


def common_rows(base: Evaluated, other: Evaluated) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of the scenes that both have; raises EvaluationError where there is none."""
    place = {scene.key: row for row, scene in enumerate(other.scenes)}
    pairs = [(row, place[scene.key]) for row, scene in enumerate(base.scenes) if scene.key in place]
    if not pairs:
        raise EvaluationError(
            f"{base.name} and {other.name}: no scene in common, such as clip {base.scenes[0].clip_id} at "
            f"{base.scenes[0].t0_us} us and clip {other.scenes[0].clip_id} at {other.scenes[0].t0_us} us. "
            "Expected predictions for the same clips and times."
        )
    own, others = np.array(pairs, dtype=np.intp).T
    return own, others


def mean_differences(differences: Floats, clip: NDArray[np.intp]) -> list[Measured]:
    """Return the means of paired differences (S, M) with intervals; exactly 0 where no scene of a column differs."""
    found = means(differences, clip, RESAMPLES, SEED)
    differs = (np.nan_to_num(differences) != 0.0).any(axis=0)
    return [
        replace(own, low=0.0, high=0.0, reason=NO_DIFFERENCE) if own.n and not differs[column] else own
        for column, own in enumerate(found)
    ]


def _notices(base: Evaluated, other: Evaluated) -> Iterator[str]:
    own, others = ({shape[:2] for shape in one.shapes} for one in (base, other))
    if own != others:
        yield (
            f"{base.name} has {_samples(own)} and {other.name} {_samples(others)}: minADE and corner distance fall "
            "with the number of samples alone. Compare ADE and FDE, or predict as many."
        )


def _samples(shapes: set[tuple[int, int]]) -> str:
    return " or ".join(f"{sets} x {samples} samples" for sets, samples in sorted(shapes))
