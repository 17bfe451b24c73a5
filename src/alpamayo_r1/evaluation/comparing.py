"""Two models on the same scenes: differences scene by scene, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.intervals import means
from alpamayo_r1.evaluation.measures import BY_KEY, KEYS
from alpamayo_r1.evaluation.summarising import SEED
from coc_labeling.agreement.resampling import RESAMPLES, Measured


@dataclass(frozen=True)
class Comparison:
    """A model against the first one.

    Attributes:
        base, other: names of the first one and of this one.
        scenes, clips: how many both have.
        only_base, only_other: scenes that one has alone.
        differences: of this one minus the first, by key, over scenes that have the measure in both.
        notices: what to beware of.
    """

    base: str
    other: str
    scenes: int
    clips: int
    only_base: int
    only_other: int
    differences: dict[str, Measured]
    notices: tuple[str, ...]

    def verdict(self, key: str) -> str:
        """Return better, worse or (not told) nothing, of the second model."""
        found, lower = self.differences[key], BY_KEY[key].lower_is_better
        if lower is None or found.low is None or found.high is None or found.low <= 0.0 <= found.high:
            return ""
        return "better" if (found.high < 0.0) == lower else "worse"


def compare(base: Evaluated, other: Evaluated) -> Comparison:
    """Compare a model with the first one, scene by scene; raises EvaluationError where they have none in common."""
    place = {scene.key: row for row, scene in enumerate(other.scenes)}
    pairs = [(row, place[scene.key]) for row, scene in enumerate(base.scenes) if scene.key in place]
    if not pairs:
        raise EvaluationError(
            f"{base.name} and {other.name}: no scene in common, such as clip {base.scenes[0].clip_id} at "
            f"{base.scenes[0].t0_us} us and clip {other.scenes[0].clip_id} at {other.scenes[0].t0_us} us. "
            "Expected predictions for the same clips and times."
        )
    own, others = np.array(pairs).T
    found = means(other.values[others] - base.values[own], base.clip[own], RESAMPLES, SEED)
    return Comparison(
        base.name,
        other.name,
        len(pairs),
        len(np.unique(base.clip[own])),
        len(base) - len(pairs),
        len(other) - len(pairs),
        dict(zip(KEYS, found, strict=True)),
        tuple(_notices(base, other)),
    )


def _notices(base: Evaluated, other: Evaluated) -> Iterator[str]:
    own, others = ({shape[:2] for shape in one.shapes} for one in (base, other))
    if own != others:
        yield (
            f"{base.name} has {_samples(own)} and {other.name} {_samples(others)}: minADE and corner distance fall "
            "with the number of samples alone. Compare ADE and FDE, or predict as many."
        )


def _samples(shapes: set[tuple[int, int]]) -> str:
    return " or ".join(f"{sets} x {samples} samples" for sets, samples in sorted(shapes))
