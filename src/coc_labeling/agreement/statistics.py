"""Raw agreement, Cohen's kappa and agreement by category, from a confusion table.

- Raw agreement: the share of pairs in which both sides say the same.
- Cohen's kappa (A coefficient of agreement for nominal scales, 1960): (p_o - p_e) / (1 - p_e), where p_o is the raw
  agreement and p_e what it would be if each side said what it says as often as it does, but at random. Undefined where
  p_e is 1: both sides say one and the same thing throughout.
- Positive agreement of a category (Cicchetti and Feinstein, High agreement but low kappa II, 1990):
  2 both / (said by A + said by B). Undefined where neither says it.
- Kappa of a category: that of the table "this one, or any other".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.resampling import Counts, Measured, Resampled, resample

ONE_CATEGORY = "both sides say one and the same thing throughout, so chance alone gives full agreement"


@dataclass(frozen=True)
class CategoryAgreement:
    """One category on both sides: how often either says it, how often both do, and how well they agree on it."""

    name: str
    said_a: int
    said_b: int
    both: int
    positive_agreement: Measured
    kappa: Measured

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "said_a": self.said_a,
            "said_b": self.said_b,
            "both": self.both,
            "positive_agreement": self.positive_agreement.as_dict(),
            "kappa": self.kappa.as_dict(),
        }


@dataclass(frozen=True)
class Agreement:
    """How two sides agree on one question.

    Attributes:
        names: the categories that occur.
        confusion: (K, K) pairs by what side A says (rows) and side B says (columns).
        raw: share of pairs in which both say the same.
        kappa: Cohen's.
        categories: one by one, those said most often first.
    """

    names: tuple[str, ...]
    confusion: NDArray[np.int64]
    raw: Measured
    kappa: Measured
    categories: tuple[CategoryAgreement, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "raw_agreement": self.raw.as_dict(),
            "cohens_kappa": self.kappa.as_dict(),
            "categories": list(self.names),
            "confusion": {"rows": "A", "columns": "B", "counts": self.confusion.tolist()},
            "by_category": {category.name: category.as_dict() for category in self.categories},
        }


def raw_agreement(table: Counts) -> Counts:
    """Return the share on the diagonal of tables (..., K, K); NaN for an empty one."""
    return _ratio(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def cohens_kappa(table: Counts) -> Counts:
    """Return kappa of tables (..., K, K); NaN where it is undefined.

    Example:
        >>> float(cohens_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])).round(3))
        0.4
    """
    table = np.asarray(table, float)
    total = table.sum(axis=(-2, -1))
    same = np.trace(table, axis1=-2, axis2=-1)
    chance = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1)  # p_e times total squared; whole numbers, exact
    return _ratio(total * same - chance, total * total - chance)


def _positive_agreement(table: Counts) -> Counts:
    """Return positive agreement on the first category of tables (..., 2, 2)."""
    said = table[..., 0, :].sum(axis=-1) + table[..., :, 0].sum(axis=-1)
    return _ratio(2 * table[..., 0, 0], said)


def agreement(
    a: NDArray[np.integer],
    b: NDArray[np.integer],
    clips: NDArray[np.integer],
    names: Sequence[str],
    resamples: int,
    seed: int,
) -> Agreement:
    """Return how two sides agree.

    Args:
        a: (P,) what side A says, numbers of ``names``.
        b: (P,) the same of side B.
        clips: (P,) the clip of each pair.
        names: all categories; those that never occur are left out.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    used, both = np.unique(np.concatenate([a, b]), return_inverse=True)
    size = len(used)
    kinds = both[: len(a)] * size + both[len(a) :]
    found = resample(kinds, clips, size * size, resamples, seed)
    confusion = found.counts.reshape(size, size).astype(np.int64)
    said = tuple(str(names[number]) for number in used)
    often = np.argsort(-(confusion.sum(axis=0) + confusion.sum(axis=1)), kind="stable")
    return Agreement(
        said,
        confusion,
        found.measure(lambda counts: raw_agreement(_square(counts, size)), "no pairs"),
        found.measure(lambda counts: cohens_kappa(_square(counts, size)), ONE_CATEGORY),
        tuple(_category(found, size, int(number), said[number]) for number in often),
    )


def _category(found: Resampled, size: int, number: int, name: str) -> CategoryAgreement:
    def collapsed(counts: Counts) -> Counts:
        table = _square(counts, size)
        own, total = table[..., number, number], table.sum(axis=(-2, -1))
        said_a, said_b = table[..., number, :].sum(axis=-1), table[..., :, number].sum(axis=-1)
        flat = np.stack([own, said_a - own, said_b - own, total - said_a - said_b + own], axis=-1)
        return _square(flat, 2)

    (both, only_a), (only_b, _) = collapsed(found.counts).astype(int).tolist()
    return CategoryAgreement(
        name,
        both + only_a,
        both + only_b,
        both,
        found.measure(lambda counts: _positive_agreement(collapsed(counts)), "neither side says it"),
        found.measure(lambda counts: cohens_kappa(collapsed(counts)), ONE_CATEGORY),
    )


def _square(counts: Counts, size: int) -> Counts:
    return counts.reshape(*counts.shape[:-1], size, size)


def _ratio(part: Counts, whole: Counts) -> Counts:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    ratio: Counts = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return ratio
