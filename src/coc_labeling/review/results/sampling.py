"""The labels of a queue as a population, and which of those that were reviewed stand for how many of the others.

Two parts of each wave are reviewed: its random tasks, and, by falling risk, the rest. The random tasks of batches that
were chosen without looking at labels are a simple random sample of the wave (see ``planning``). But what the reviews by
risk have left over is no longer like the wave: high risks are in it only as far as they were dealt to the random part.
So a wave's labels are cut into strata *by their risk*, not by how they came to be reviewed (poststratification: Holt
and Smith, Post stratification, 1979):

- ``all``: risks of which every label by risk has been reviewed. Only random tasks wait there, and they are a random
  part of the stratum, so those reviewed, by risk and at random, are a simple random sample of it; nearly a census.
- ``some``: risks of which at least half of the labels by risk have been reviewed, as while a round of batches is being
  worked on. Which of them are in whose batch rests on clips and times, within a batch on a hash; so those reviewed are
  taken for a random sample of this stratum, too.
- ``few``: all other risks. Only random tasks are the sample; the few reviewed by risk are known, and stand for nobody.

Labels of one risk at the edge between two batches were put in order at random: they are a class of their own. All this
rests on the risks that the queue was ordered by. Where they have changed since (checked anew), the wave is one stratum
``few``: the random tasks alone are its sample, which needs no risk at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from sqlite3 import Row

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import NONE, Channel
from coc_labeling.checks.risk import UNOBSERVED_RISK
from coc_labeling.review.batches.planning import Stratum
from coc_labeling.review.store import ReviewStore

LEAST_SHARE = 0.5  # of the labels by risk of a class that have been reviewed, for them to stand for the others


class Reviewed(StrEnum):
    """How many of the labels by risk of a stratum have been reviewed."""

    FEW = "few"
    SOME = "some"
    ALL = "all"


_EXTENTS = tuple(Reviewed)


@dataclass(frozen=True)
class Part:
    """A stratum: the labels of a wave whose risks have been reviewed to one extent."""

    wave: int
    extent: Reviewed


@dataclass(frozen=True)
class Population:
    """The labels of a queue, N of them, sorted by clip and keyframe; of a moment the last content alone.

    Attributes:
        moments: clip and keyframe of each, to its number.
        label_hash: of its content, each.
        decisions: (N,) what each says, by channel; "none" where it decides nothing.
        wave: (N,) the wave of each.
        random: (N,) whether its first review is of the random stratum.
        stratum: (N,) the number of its stratum in ``parts``.
        stands: (N,) whether it is in the sample once it is reviewed; those by risk in a stratum ``few`` are not.
        parts: the strata.
        reordered: waves whose risks have changed since they were put in order.
        superseded: labels that were in the queue and have another content now, which are left out.
        waiting: labels that are in no batch yet, which are left out.
    """

    moments: dict[tuple[str, int], int]
    label_hash: list[str]
    decisions: dict[Channel, NDArray[np.str_]]
    wave: NDArray[np.int64]
    random: NDArray[np.bool_]
    stratum: NDArray[np.int64]
    stands: NDArray[np.bool_]
    parts: tuple[Part, ...]
    reordered: tuple[int, ...]
    superseded: int
    waiting: int

    def __len__(self) -> int:
        return len(self.wave)

    def sizes(self, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return how many labels each stratum has, of all or of those chosen."""
        return np.bincount(self.stratum if chosen is None else self.stratum[chosen], minlength=len(self.parts))

    def weights(self, sample: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return for how many labels each stands, (N,): 1 / inclusion probability within its stratum; else 0."""
        looked = self.sizes(sample)
        weight = np.divide(self.sizes(), looked, out=np.zeros(len(self.parts)), where=looked > 0)
        return np.where(sample, weight[self.stratum], 0.0)


def population_of(store: ReviewStore) -> Population:
    """Return the labels of a queue with their strata, as far as people have come now."""
    rows = store.database.rows(_LABELS)
    counts = store.database.rows(_OTHERS)[0]
    wave = np.array([row["wave"] for row in rows], np.int64)
    random = np.array([row["stratum"] == Stratum.RANDOM for row in rows], bool)
    extent = np.zeros(len(rows), np.int64)
    reordered = []
    for number, rounds in _rounds(store):
        own = np.flatnonzero(wave == number)
        if not len(own):
            continue
        found = _extents(*_columns([rows[place] for place in own], rounds), random[own])
        if found is None:
            reordered.append(number)
        else:
            extent[own] = found
    parts, stratum = np.unique(np.stack([wave, extent], axis=1), axis=0, return_inverse=True)
    return Population(
        {(row["clip_id"], row["t_us"]): place for place, row in enumerate(rows)},
        [row["label_hash"] for row in rows],
        {channel: np.array([row[channel] or NONE for row in rows], np.str_) for channel in Channel},
        wave,
        random,
        stratum.reshape(-1),
        random | (extent > 0),
        tuple(Part(int(number), _EXTENTS[int(of)]) for number, of in parts),
        tuple(reordered),
        counts["superseded"],
        counts["waiting"],
    )


_LATER = """SELECT 1 FROM labels later WHERE later.clip_id = l.clip_id AND later.t_us = l.t_us
    AND later.origin = 'generated' AND later.id > l.id"""
_LABELS = f"""
    SELECT l.clip_id, l.t_us, l.label_hash, l.longitudinal, l.lateral, l.risk, l.wave, t.batch, t.stratum,
           EXISTS (SELECT 1 FROM tasks done WHERE done.label = l.id AND done.phase = 'done') AS reviewed
    FROM labels l JOIN tasks t ON t.label = l.id AND t.kind = 'first'
    WHERE l.origin = 'generated' AND NOT EXISTS ({_LATER})
    ORDER BY l.clip_id, l.t_us
"""  # noqa: S608 - of ours
_OTHERS = f"""
    SELECT coalesce(sum(wave IS NOT NULL AND EXISTS ({_LATER})), 0) AS superseded,
           coalesce(sum(wave IS NULL), 0) AS waiting
    FROM labels l WHERE origin = 'generated'
"""  # noqa: S608 - of ours


def _rounds(store: ReviewStore) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield each wave with the round of its batches: the batches go round the reviewers, by falling risk."""
    rows = store.database.rows(
        "SELECT id, wave, reviewer FROM batches b "
        "WHERE EXISTS (SELECT 1 FROM tasks WHERE batch = b.id AND kind = 'first') ORDER BY id"
    )
    for wave in sorted({row["wave"] for row in rows}):
        own = [row for row in rows if row["wave"] == wave]
        people = len({row["reviewer"] for row in own})
        yield wave, {row["id"]: place // people for place, row in enumerate(own)}


def _columns(
    rows: list[Row], rounds: dict[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return risk, round and whether it was reviewed, of labels of one wave."""
    risk = [UNOBSERVED_RISK if row["risk"] is None else row["risk"] for row in rows]
    in_round = [rounds[row["batch"]] for row in rows]
    return np.array(risk), np.array(in_round, np.int64), np.array([row["reviewed"] for row in rows], bool)


def _extents(
    risk: NDArray[np.float64], in_round: NDArray[np.int64], reviewed: NDArray[np.bool_], random: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """Return the place in ``Reviewed`` of each label of a wave; None where risks are not in the order of the queue."""
    by_risk = ~random
    if not by_risk.any():
        return np.zeros(len(risk), np.int64)
    low = np.full(in_round.max() + 1, np.inf)
    high = np.full(len(low), -np.inf)
    np.minimum.at(low, in_round[by_risk], risk[by_risk])
    np.maximum.at(high, in_round[by_risk], risk[by_risk])
    there = np.isfinite(low)
    low, high = low[there], high[there]
    if np.any(low[:-1] < high[1:]):
        return None
    classes = _classes(risk, np.unique(low), low[:-1][low[:-1] == high[1:]])
    return _by_class(classes, by_risk, reviewed)


def _classes(risk: NDArray[np.float64], lowest: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers that rise with the risk: even ones for rounds by their ``lowest`` risks, odd ones for ``shared``.

    Those are risks that are in two rounds, or more.
    """
    found: NDArray[np.int64] = 2 * np.searchsorted(lowest, risk, side="right") - np.isin(risk, shared)
    return found


def _by_class(of: NDArray[np.int64], by_risk: NDArray[np.bool_], reviewed: NDArray[np.bool_]) -> NDArray[np.int64]:
    classes = int(of.max()) + 1
    there = np.bincount(of[by_risk], minlength=classes)
    done = np.bincount(of[by_risk & reviewed], minlength=classes)
    extent = np.where(done == there, 2, np.where(done >= LEAST_SHARE * there, 1, 0))
    # Classes of random tasks alone go with those of the next higher risk; above the highest, with that one.
    known = np.flatnonzero(there)
    following = np.minimum(np.searchsorted(known, np.arange(classes)), len(known) - 1)
    found: NDArray[np.int64] = extent[known[following]][of]
    return found
