"""Fewer labels of frequent decisions: in each split no decision has more than the median of its decisions."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from statistics import median_low

import numpy as np

from coc_labeling.export.rows import ExportRow
from coc_labeling.schema import LateralDecision
from driving_clips.datasets.loose import stable_hash

LEFT_OUT = "balance"


class BalanceBy(StrEnum):
    """What a dataset is balanced by."""

    NOTHING = "none"
    DECISION = "decision"


class Balance:
    """Which labels are kept so that frequent decisions do not outweigh the others.

    A label counts for its decision on the lane where that is more than keeping it, else for that on speed. Of a
    decision that is cut, those labels stay whose hash of seed, clip and keyframe is lowest: the same ones every time.
    """

    def __init__(self, seed: int, rows: Iterable[ExportRow]) -> None:
        """Look through the rows once; 8 bytes of each are held meanwhile."""
        self._seed = seed
        found: dict[tuple[str, str], array] = defaultdict(lambda: array("Q"))
        for row in rows:
            found[row.split, decision_of(row)].append(self._hash(row))
        by_split: dict[str, list[int]] = defaultdict(list)
        for (split, _), hashes in found.items():
            by_split[split].append(len(hashes))
        self.most = {split: median_low(sizes) for split, sizes in sorted(by_split.items())}
        self._highest = {
            key: int(np.partition(np.frombuffer(hashes, np.uint64), self.most[key[0]] - 1)[self.most[key[0]] - 1])
            for key, hashes in found.items()
            if len(hashes) > self.most[key[0]]
        }

    def keeps(self, row: ExportRow) -> bool:
        """Say whether a label stays."""
        highest = self._highest.get((row.split, decision_of(row)))
        return highest is None or self._hash(row) <= highest

    def _hash(self, row: ExportRow) -> int:
        return stable_hash(f"balance\0{self._seed}\0{row.clip_id}\0{row.event_start_timestamp}")


def decision_of(row: ExportRow) -> str:
    """Return the decision that a label counts for.

    Lane decisions count with their direction.
    """
    if row.lateral is not None and row.lateral != LateralDecision.KEEP_LANE:
        return " ".join(part for part in (row.lateral, row.direction) if part)
    return row.longitudinal or row.lateral or "none"
