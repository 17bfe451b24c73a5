"""Under which conditions clips were recorded: country and part of the day, where the dataset's metadata say so."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.datasets.base import recording_of

UNKNOWN = "unknown"
LONGEST_NAME = 60
# First hour of each part of the day, local time; night goes on past midnight.
DAY_PARTS = ((5, "morning"), (10, "midday"), (16, "evening"), (21, "night"))
_METADATA = ("metadata", "data_collection.parquet")
_CLIP_IDS = ("clip_id", "__index_level_0__")


@dataclass(frozen=True)
class Condition:
    """Where and when a clip was recorded."""

    country: str = UNKNOWN
    day_part: str = UNKNOWN


class Conditions:
    """Conditions by clip; unknown where nobody says them."""

    def __init__(self, by_clip: dict[str, Condition]) -> None:
        self._by_clip = by_clip

    def of(self, clip_id: str) -> Condition:
        """Return a clip's condition, or that of the recording it is cut from."""
        return self._by_clip.get(clip_id) or self._by_clip.get(recording_of(clip_id)) or Condition()


def read_conditions(data_dir: str, clip_ids: set[str]) -> Conditions:
    """Read ``metadata/data_collection.parquet`` below a dataset's root; without it all is unknown.

    Raises:
        CocLabelingError: the file is there and cannot be read.
    """
    path = files.join(data_dir, *_METADATA)
    if not files.exists(path):
        return Conditions({})
    try:
        there = pq.read_schema(path).names
        own = next(name for name in _CLIP_IDS if name in there)
        columns = [name for name in ("country", "hour_of_day") if name in there]
        table = pq.read_table(path, columns=[own, *columns], partitioning=None)
        ids = table.column(own).cast(pa.string())
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        raise CocLabelingError(
            f"{path}: expected a parquet file with clip_id, country and hour_of_day ({error}). Repair or remove it; "
            "without it countries and hours are unknown."
        ) from error
    wanted = pa.array(sorted(clip_ids | {recording_of(clip_id) for clip_id in clip_ids}), pa.string())
    rows = pc.is_in(ids, wanted)
    table, ids = table.filter(rows), ids.filter(rows)
    unknown = [None] * len(ids)
    country = table.column("country").to_pylist() if "country" in columns else unknown
    hour = table.column("hour_of_day").to_pylist() if "hour_of_day" in columns else unknown
    found = zip(ids.to_pylist(), country, hour, strict=True)
    return Conditions({clip: Condition(_name(where), day_part(when)) for clip, where, when in found})


def _name(country: object) -> str:
    """Return a country's name on one line of bearable length."""
    return " ".join(str(country or UNKNOWN).split())[:LONGEST_NAME] or UNKNOWN


def day_part(hour: object) -> str:
    """Return the part of the day of an hour from 0 to 23; unknown for anything else.

    Example:
        >>> day_part(4), day_part(5), day_part(22.0), day_part(None)
        ('night', 'morning', 'night', 'unknown')
    """
    if isinstance(hour, bool) or not isinstance(hour, int | float) or not 0 <= hour < 24:
        return UNKNOWN
    begun = [name for first, name in DAY_PARTS if hour >= first]
    return begun[-1] if begun else DAY_PARTS[-1][1]
