"""A share of all labels, estimated from a sample whose strata were looked at to different extents.

A *stratum* is a part of the labels of which a known share was looked at: all of it (a census, such as the riskiest
labels: weight 1), or some drawn uniformly without replacement. A label of a stratum of N, of which n were looked at,
stands for w = N / n labels.

- Total (Horvitz and Thompson, A generalization of sampling without replacement from a finite universe, 1952): the sum
  of w over the hits.
- Share (Hajek 1971): the sum of w over the hits, divided by the sum of w over all that were looked at in the domain.
- Interval: Wilson's score interval (Wilson 1927) in each stratum, its n divided by the finite population correction
  (N - n) / (N - 1), so that a census has none; they are put together by the squares of their arms, weighted by the
  strata's shares (MOVER: Zou and Donner 2008). Where the domain's size is itself estimated, the variance that comes
  from it is added (linearised). Wald's interval (value -+ 1.96 standard errors) is too short for shares near 0 or
  1, and has no length at all where no error was found.

Where nothing was looked at in some stratum, ``proportion`` has no value. ``collapsed`` then puts strata together
(Cochran, Sampling Techniques, 1977, chapter 5A; Fuller, Estimation employing post strata, 1966), at the price of
intervals that are wide, and of a value that leans towards the strata of which something was seen.

Only the drawing is random here: that labels of one clip resemble each other does no harm, as long as labels were drawn
one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959964  # two-sided


@dataclass(frozen=True)
class Estimate:
    """A share with its 95 % interval.

    Attributes:
        value: Hajek's estimate; None where it is undefined.
        low, high: ends of the interval; None where the value is.
        hits: labels with the property, of those looked at.
        sampled: labels of the domain that were looked at.
        total: Horvitz and Thompson's estimate of how many labels have the property.
        population: of how many labels the share is; estimated where not known.
        reason: why there is no value; empty where there is one.
        collapsed: strata were put together, since one of them showed none: believe the interval, not the value.
    """

    value: float | None
    low: float | None
    high: float | None
    hits: int
    sampled: int
    total: float
    population: float
    reason: str = ""
    collapsed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        ends = (("value", self.value), ("ci95_low", self.low), ("ci95_high", self.high))
        return {
            **{name: None if number is None else round(number, 6) for name, number in ends},
            "hits": self.hits,
            "sampled": self.sampled,
            "estimated_total": round(self.total, 2),
            "population": round(self.population, 2),
            "reason": self.reason or None,
            "strata_collapsed": self.collapsed,
        }


def proportion(
    hit: NDArray[np.bool_],
    stratum: NDArray[np.integer],
    sizes: Sequence[int],
    domain: NDArray[np.bool_] | None = None,
) -> Estimate:
    """Estimate the share of labels with a property, of all or of those in a domain.

    Where it is known how many labels of each stratum are in the domain, give these numbers as ``sizes``, and the
    labels of the domain alone: that is more exact than ``domain``.

    Args:
        hit: (n,) which of the labels looked at have the property.
        stratum: (n,) the stratum of each.
        sizes: (H,) how many labels each stratum has, those not looked at included.
        domain: (n,) which of them are in the domain, where it was found only by looking; None for all.

    Raises:
        ValueError: arrays of different lengths, or more labels looked at than a stratum has.

    Example:
        >>> found = proportion(np.array([True, True, False, False]), np.array([0, 0, 1, 1]), [2, 98])
        >>> found.value
        0.02
    """
    inside = np.ones(len(hit), bool) if domain is None else np.asarray(domain, bool)
    looked, own, hits = _counted(np.asarray(hit, bool), np.asarray(stratum), inside, len(sizes))
    population = np.asarray(sizes, float)
    if np.any(looked > population):
        worst = int(np.argmax(looked - population))
        raise ValueError(
            f"stratum {worst} has {int(population[worst])} labels, but {int(looked[worst])} were looked at."
        )
    weight = np.divide(population, looked, out=np.zeros_like(population), where=looked > 0)
    members, total = weight * own, float(weight @ hits)
    unknown = np.flatnonzero((population > 0) & (looked < population) & (own == 0))
    size = float(members.sum())
    if len(unknown) or size == 0:
        reason = (
            f"none was looked at in stratum {unknown[0]}, of {int(population[unknown[0]])} labels"
            if len(unknown)
            else "there are no such labels"
        )
        return Estimate(None, None, None, int(hits.sum()), int(own.sum()), total, size, reason)
    value = total / size
    low, high = _interval(value, population, looked, own, hits, members / size)
    return Estimate(value, low, high, int(hits.sum()), int(own.sum()), total, size)


def collapsed(hit: NDArray[np.bool_], stratum: NDArray[np.integer], sizes: Sequence[int]) -> Estimate:
    """Estimate a share as ``proportion`` does, each stratum of which nothing was looked at joined with a neighbour.

    That is the nearest one before it of which something was, or else the first one after it. Give strata that resemble
    each other and were drawn from at about one rate, such as whole populations of several times.

    Args:
        hit: (n,) which of the labels looked at have the property.
        stratum: (n,) the stratum of each.
        sizes: (H,) how many labels each stratum has.

    Example:
        >>> found = collapsed(np.array([True, False]), np.array([1, 1]), [10, 10, 20])
        >>> found.value, found.population, found.collapsed
        (0.5, 40.0, True)
    """
    shown = np.unique(stratum)
    if not len(shown):
        return proportion(hit, stratum, sizes)
    joined = np.maximum(np.searchsorted(shown, np.arange(len(sizes)), side="right") - 1, 0)
    together = np.bincount(joined, weights=sizes, minlength=len(shown)).astype(int)
    return replace(proportion(hit, joined[stratum], together.tolist()), collapsed=True)


def by_decision(
    hit: NDArray[np.bool_],
    stratum: NDArray[np.integer],
    decision: NDArray[np.str_],
    sizes: Sequence[int] | Mapping[str, Sequence[int]],
) -> dict[str, Estimate]:
    """Estimate the share of labels with a property for each decision.

    Args:
        hit: (n,) which of the labels looked at have the property.
        stratum: (n,) the stratum of each.
        decision: (n,) the decision of each.
        sizes: how many labels each stratum has of each decision (known where the decision is the label's own), or
            how many it has at all (where the decision is what people found).

    Returns:
        An estimate for each decision of ``sizes``, or else for each that occurs, by name.
    """
    if isinstance(sizes, Mapping):
        own = {name: decision == name for name in sorted(sizes)}
        return {name: proportion(hit[is_own], stratum[is_own], sizes[name]) for name, is_own in own.items()}
    return {str(name): proportion(hit, stratum, sizes, decision == name) for name in np.unique(decision)}


def wilson(hits: float, n: float, correction: float = 1.0) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a share.

    Args:
        hits: how many have the property.
        n: of how many, at least 1.
        correction: for a finite population, (N - n) / (N - 1); at 0 everything was looked at.

    Example:
        >>> [round(end, 3) for end in wilson(0, 20)]
        [0.0, 0.161]
    """
    share, spread = hits / n, Z_95 * Z_95 * correction / n
    middle = (share + spread / 2) / (1 + spread)
    arm = sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return min(max(middle - arm, 0.0), share), max(min(middle + arm, 1.0), share)


def _counted(
    hit: NDArray[np.bool_], stratum: NDArray[np.integer], inside: NDArray[np.bool_], strata: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how many were looked at, were in the domain, and had the property there, by stratum."""
    if not len(hit) == len(stratum) == len(inside):
        raise ValueError(f"expected one length, found {len(hit)} hits, {len(stratum)} strata, {len(inside)} in domain.")
    if len(stratum) and not 0 <= stratum.min() <= stratum.max() < strata:
        raise ValueError(f"expected strata from 0 to {strata - 1}, found {stratum.min()} to {stratum.max()}.")
    looked, own, hits = (
        np.bincount(stratum[chosen], minlength=strata).astype(float) for chosen in (slice(None), inside, inside & hit)
    )
    return looked, own, hits


def _interval(
    value: float,
    population: NDArray[np.float64],
    looked: NDArray[np.float64],
    own: NDArray[np.float64],
    hits: NDArray[np.float64],
    share: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the ends of the interval; ``share`` is how much of the domain each stratum has."""
    below = above = 0.0
    size = float((population / np.maximum(looked, 1)) @ own)
    for h in np.flatnonzero(own):
        correction = (population[h] - looked[h]) / max(population[h] - 1, 1)
        low, high = wilson(hits[h], own[h], correction)
        here, inside = hits[h] / own[h], own[h] / looked[h]
        variance = inside * (1 - inside) / looked[h] * correction  # of the domain's share of the stratum
        of_size = (Z_95 * (here - value) * population[h] / size) ** 2 * variance
        below += (share[h] * (here - low)) ** 2 + of_size
        above += (share[h] * (high - here)) ** 2 + of_size
    return max(value - sqrt(below), 0.0), min(value + sqrt(above), 1.0)
