"""Which split a clip belongs to: by a hash of its drive, so that it stays there whatever else is added."""

import math
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from coc_labeling.errors import CocLabelingError
from driving_clips.datasets.loose import stable_hash

DEFAULT_SPLITS = "sft=0.8,rl=0.1,evaluation=0.1"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HASHES = 2.0**64
_ROUNDED = 0.01  # that shares may be off, such as three of 0.33


class GroupBy(StrEnum):
    """What stays together in one split."""

    DRIVE = "drive"
    CLIP = "clip"


@dataclass(frozen=True)
class Splits:
    """How clips are shared out.

    Attributes:
        shares: the share of the clips that each split is to have, by name; they sum to 1.
        seed: another seed, another assignment.
        group_by: what stays together; where a clip's drive is not known, the clip.
    """

    shares: Mapping[str, float]
    seed: int = 0
    group_by: GroupBy = GroupBy.DRIVE

    def split_of(self, clip_id: str, drive: str | None) -> str:
        """Return the split of a clip: the same for every clip of a group, and on every machine.

        Example:
            >>> Splits({"sft": 1.0}).split_of("clip", None)
            'sft'
        """
        group = clip_id if drive is None or self.group_by is GroupBy.CLIP else drive
        position = stable_hash(f"{self.seed}\0{group}") / _HASHES
        *ends, _ = accumulate(self.shares.values())  # the last split takes the rest, whatever rounding left
        return tuple(self.shares)[bisect_right(ends, position)]


def parse_shares(text: str) -> dict[str, float]:
    """Read ``name=share,name=share``: shares that sum to 1, or parts of 1 and more, which are made to.

    Raises:
        CocLabelingError: anything else.

    Example:
        >>> parse_shares("sft=3, evaluation=1")
        {'sft': 0.75, 'evaluation': 0.25}
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        if not _NAME.fullmatch(name) or name in shares:
            raise _wrong(text, f"{name!r} is no name of a split, or there twice")
        if not equals or not share:
            raise _wrong(text, f"{name} has no share")
        try:
            shares[name] = float(share)
        except ValueError as error:
            raise _wrong(text, f"{share!r} is no number") from error
        if not 0 < shares[name] < math.inf:
            raise _wrong(text, f"the share of {name} is {share}, it must be over 0")
    whole = sum(shares.values())
    if min(shares.values()) < 1 and abs(whole - 1) > _ROUNDED:
        raise _wrong(text, f"its shares sum to {whole:g}, not to 1; parts such as 8, 1 and 1 may have any sum")
    return {name: share / whole for name, share in shares.items()}


def _wrong(text: str, why: str) -> CocLabelingError:
    return CocLabelingError(f"--splits {text!r}: {why}. Expected names with shares, for example {DEFAULT_SPLITS}.")
