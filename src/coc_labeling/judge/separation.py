"""Do a judge's scores separate labels from labels with planted errors? If not, they say nothing about the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.judge.stages import INVENTED, Stage

FEWEST = 5  # labels on either side: with fewer even a perfect judge could be luck
LOWEST_AUC = 0.65
Z_95 = 1.645  # one-sided

Scores = NDArray[np.float64]
Evaluations = Mapping[Stage, Scores]  # (labels, scores of the stage); NaN for a score that there is none of


@dataclass(frozen=True)
class Separation:
    """How often a score ranks a label above one with a planted error.

    Attributes:
        auc: the share of such pairs, ties counted half; 0.5 is chance, 1 is always.
        standard_error: of the AUC of scores that say nothing (Mann and Whitney 1947).
        true, planted: how many labels of either kind.
    """

    auc: float
    standard_error: float
    true: int
    planted: int

    @property
    def lower(self) -> float:
        """The lower end of the one-sided 95 % interval; above 0.5 the separation is no chance."""
        return self.auc - Z_95 * self.standard_error

    @property
    def p_value(self) -> float:
        """How likely scores that say nothing would separate as well."""
        return erfc((self.auc - 0.5) / self.standard_error / sqrt(2)) / 2

    @property
    def separates(self) -> bool:
        """Whether it is both clear and large."""
        return self.auc >= LOWEST_AUC and self.lower > 0.5

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "auc": round(self.auc, 4),
            "lower": round(self.lower, 4),
            "p_value": round(self.p_value, 6),
            "n_true": self.true,
            "n_planted": self.planted,
        }


def separation(true: Sequence[float] | Scores, planted: Sequence[float] | Scores) -> Separation | None:
    """Return how well scores separate, higher ones being better; None where there are too few.

    Example:
        >>> separation([1.0, 0.9, 0.8, 0.9, 1.0], [0.1, 0.2, 0.1, 0.3, 0.0]).auc
        1.0
    """
    m, n = len(true), len(planted)
    if min(m, n) < FEWEST:
        return None
    sorted_planted = np.sort(np.asarray(planted, dtype=float))
    below, up_to = (np.searchsorted(sorted_planted, true, side=side) for side in ("left", "right"))
    auc = float(np.sum(below + up_to)) / (2 * m * n)
    return Separation(auc, sqrt((m + n + 1) / (12 * m * n)), m, n)


@dataclass(frozen=True)
class Informativeness:
    """Whether a judge's scores say anything.

    Attributes:
        by_stage: of the mean of a stage's scores.
        by_score: of each score alone.
        true, planted: labels that were judged without an error, and with one, told alike.
    """

    by_stage: Mapping[Stage, Separation | None]
    by_score: Mapping[str, Separation | None]
    true: int
    planted: int

    @property
    def informative(self) -> bool | None:
        """Whether every stage that could be measured separates; None where none could be."""
        measured = [found.separates for found in self.by_stage.values() if found is not None]
        return all(measured) if measured else None

    @property
    def reason(self) -> str:
        """Return the finding in words."""
        if self.informative is None:
            return f"not measured: {self.planted} planted errors were scored, and a stage needs {FEWEST} of them"
        words = [_in_words(stage, found) for stage, found in self.by_stage.items()]
        return "; ".join(words)

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "informative": self.informative,
            "reason": self.reason,
            "auc_by_stage": {
                s.title: found and found.as_dict() | {"separates": found.separates}
                for s, found in self.by_stage.items()
            },
            "auc_by_score": {name: found and found.as_dict() for name, found in self.by_score.items()},
            "n_true": self.true,
            "n_planted": self.planted,
        }


def _in_words(stage: Stage, found: Separation | None) -> str:
    if found is None:
        return f"{stage.title}: not measured, too few planted errors were scored"
    verdict = "planted errors are told apart" if found.separates else "planted errors are not told apart"
    return f"{stage.title}: {verdict} (AUC {found.auc:.2f}, lower bound {found.lower:.2f})"


def informativeness(true: Evaluations, planted: Evaluations, labels: int, controls: int) -> Informativeness:
    """Return whether scores separate, by stage and by score.

    Args:
        true: evaluations of labels that are told as the planted ones are, by stage.
        planted: the same of those with an error.
        labels: how many labels of the first kind have been scored.
        controls: the same of the second kind.
    """
    by_stage, by_score = {}, {}
    for stage, own in true.items():
        good = _oriented(stage, own)
        wrong = _oriented(stage, planted.get(stage, np.zeros((0, len(stage.scores)))))
        by_stage[stage] = separation(*(np.nanmean(side, axis=1) for side in (good, wrong)))
        for number, name in enumerate(stage.scores):
            columns = (side[:, number] for side in (good, wrong))
            by_score[name] = separation(*(column[~np.isnan(column)] for column in columns))
    return Informativeness(by_stage, by_score, labels, controls)


def _oriented(stage: Stage, scores: Scores) -> Scores:
    """Return scores so that 1 is best."""
    invented = [name.endswith(INVENTED) for name in stage.scores]
    turned: Scores = np.where(invented, 1.0 - scores, scores)
    return turned
