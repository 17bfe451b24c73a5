"""Shards: a run's clips are shared out by a hash of the clip id, the same on every machine."""

import re
from dataclasses import dataclass

from driving_clips.datasets.loose import stable_hash
from driving_clips.errors import DatasetError


@dataclass(frozen=True)
class Shard:
    """Shard ``index`` of ``count``."""

    index: int
    count: int

    def __contains__(self, clip_id: object) -> bool:
        return self.count == 1 or stable_hash(str(clip_id)) % self.count == self.index

    @property
    def suffix(self) -> str:
        """What a shard's files carry in their names, before the ending; empty for a run that is not sharded."""
        return "" if self.count == 1 else f".shard-{self.index}-of-{self.count}"


WHOLE = Shard(0, 1)
_SUFFIX = re.compile(r"\.shard-(\d+)-of-(\d+)\.")


def parse_shard(text: str) -> Shard:
    """Read ``i/n``: i from 0 to n-1, or from 1 to n (n/n is the same shard as 0/n).

    Raises:
        DatasetError: anything else.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match:
        index, count = int(match[1]), int(match[2])
        if count > 0 and index <= count:
            return Shard(index % count, count)
    raise DatasetError(f"--shard {text!r}: expected i/n with i from 0 to n-1, for example 0/4 to 3/4.")


def shard_of_file(name: str) -> Shard | None:
    """Return the shard that a file's name carries, or None."""
    match = _SUFFIX.search(name)
    return Shard(int(match[1]), int(match[2])) if match else None
