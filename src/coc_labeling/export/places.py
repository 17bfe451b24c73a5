"""Where and when clips were recorded, where a dataset's metadata say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.datasets.base import recording_of

METADATA = ("metadata", "data_collection.parquet")
_CLIP_IDS = ("clip_id", "__index_level_0__")
_LATITUDE, _LONGITUDE, _TIME = "latitude", "longitude", "start_time_us"


class Place(NamedTuple):
    """Where a clip was recorded in degrees (WGS 84), and when in us since 1970 (UTC), None where that is not known."""

    latitude: float
    longitude: float
    t_us: int | None


@dataclass(frozen=True)
class Places:
    """Places by clip or recording.

    Attributes:
        by_id: of those whose place is known.
    """

    by_id: Mapping[str, Place] = field(default_factory=dict)

    def of(self, clip_id: str) -> Place | None:
        """Return a clip's place, or that of the recording it is cut from; None where nobody knows it."""
        return self.by_id.get(clip_id) or self.by_id.get(recording_of(clip_id))


def read_places(data_dir: str | None) -> Places:
    """Read ``latitude``, ``longitude`` and ``start_time_us`` of ``metadata/data_collection.parquet``.

    Without the file, or without the first two in it, no place is known.

    Raises:
        CocLabelingError: the file is there and cannot be read.
    """
    path = files.join(data_dir, *METADATA) if data_dir else ""
    if not path or not files.exists(path):
        return Places()
    try:
        there = pq.read_schema(path).names
        if not {_LATITUDE, _LONGITUDE} <= set(there):
            return Places()
        own = next(name for name in _CLIP_IDS if name in there)
        columns = [own, _LATITUDE, _LONGITUDE, *([_TIME] if _TIME in there else [])]
        table = pq.read_table(path, columns=columns, partitioning=None)
        ids = table.column(own).cast(pa.string()).to_pylist()
        where = [table.column(name).cast(pa.float64()).to_pylist() for name in (_LATITUDE, _LONGITUDE)]
        when = table.column(_TIME).cast(pa.int64()).to_pylist() if _TIME in there else [None] * len(ids)
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        raise CocLabelingError(
            f"{path}: expected a parquet file with clip_id, latitude, longitude and start_time_us ({error}). Repair or "
            "remove it; without it the same place and time is not looked for."
        ) from error
    rows = zip(ids, *where, when, strict=True)
    return Places({one: Place(lat, lon, t) for one, lat, lon, t in rows if _is_on_earth(lat, lon)})


def _is_on_earth(latitude: float | None, longitude: float | None) -> bool:
    return latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180
