"""From sources to trajectories on ticks, through a columnar cache.

The cache holds one Arrow file per source group, a row per clip. A row is used while the stamps (size and
time) of its source's files are unchanged; a stale, damaged or missing file is made again. Files are replaced
as a whole, so two runs at once at worst do the same work twice, and the folder may be deleted at any time.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driving_clips import files
from driving_clips.datasets.base import CLIP_US, Dataset, Source, SourceGroup, recording_of, start_of
from driving_clips.driving_sides import DrivingSide
from driving_clips.ego_motion import EgoMotion, EgoSamples, resample
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError
from driving_clips.obstacles import ObstacleTracks

log = logging.getLogger(__name__)

# Counts the meanings of the rows: raise it when resampling changes, and every cache is made again.
CACHE_VERSION = 2
_VALUES = 11  # x y z, qx qy qz qw, vx vy vz, heading
_SCHEMA = pa.schema(
    [
        ("recording_id", pa.string()),
        ("stamps", pa.string()),
        ("clip_id", pa.string()),
        ("rejected", pa.string()),
        ("detail", pa.string()),
        ("first_tick", pa.int16()),
        ("values", pa.list_(pa.float64())),
    ],
    metadata={"cache_version": str(CACHE_VERSION)},
)


@dataclass(frozen=True)
class LoadedClip:
    """One clip of a source: its ego motion on ticks, or why there is none.

    ``stamps`` are size and time of the source's files when it was read (``Dataset.stamps``).
    """

    clip_id: str
    source: Source
    result: EgoMotion | ClipError
    stamps: str | None


class TrajectoryLoader:
    """Loads the clips of source groups; small enough to travel to worker processes."""

    def __init__(self, dataset: Dataset, cache_dir: str | None = None, driving_side: DrivingSide | None = None) -> None:
        """Load from a dataset; ``driving_side`` is where it is known, instead of what the dataset says."""
        self.dataset = dataset
        self._driving_side = driving_side
        self._cache_folder = None if cache_dir is None else _cache_folder(cache_dir, dataset)
        if self._cache_folder:
            files.remove_leftovers(self._cache_folder)
        self._tracks: tuple[Source, ObstacleTracks | None] | None = None
        self._samples: tuple[Source, dict[str, EgoSamples | ClipError]] | None = None

    def load(self, group: SourceGroup, wanted: Callable[[str], bool] = lambda clip_id: True) -> list[LoadedClip]:
        """Load the clips of a group whose id is ``wanted``, in the order of the sources.

        Which clips a recording holds is known once it is read: one that cannot be read is returned as a failure
        under its own id, whatever is wanted.
        """
        cached = self._read_cache(group) if self._cache_folder else _SCHEMA.empty_table()
        valid = self._valid(cached, group)
        loaded: list[LoadedClip] = []
        fresh: dict[str, list[LoadedClip]] = {}
        for source in group.sources:
            if not self.dataset.cuts_recordings and not wanted(source.recording_id):
                continue
            rows = valid.get(source.recording_id)
            if rows is None:
                rows = fresh[source.recording_id] = self._load_source(source)
            loaded += [clip for clip in rows if wanted(clip.clip_id) or self._is_lost_recording(clip)]
        if fresh and self._cache_folder:
            self._write_cache(group, cached, fresh)
        return loaded

    def _is_lost_recording(self, clip: LoadedClip) -> bool:
        return self.dataset.cuts_recordings and isinstance(clip.result, ClipFailedError)

    def samples(self, clip: LoadedClip) -> EgoSamples:
        """Read a clip's ego motion as recorded, on its clock.

        Raises:
            ClipError: it cannot be read.
        """
        if self._samples is None or self._samples[0] != clip.source:  # a recording's clips come one after another
            self._samples = clip.source, dict(self.dataset.clips_of(clip.source))
        found = self._samples[1].get(clip.clip_id)
        if isinstance(found, ClipError):
            raise found
        if found is None:
            raise ClipFailedError("changed", f"{clip.source}: clip {clip.clip_id} is not in it any more.")
        return found

    def driving_side(self, clip_id: str) -> DrivingSide | None:
        """Return the side of the road that traffic keeps to in a clip; None where nobody says it."""
        return self._driving_side or self.dataset.driving_side(clip_id)

    def obstacles(self, clip: LoadedClip) -> ObstacleTracks | None:
        """Read a clip's obstacle tracks in its local frame, on its clock; None where the dataset has none.

        Raises:
            ClipFailedError: the obstacle file cannot be read.
        """
        if self._tracks is None or self._tracks[0] != clip.source:  # a recording's clips come one after another
            self._tracks = clip.source, self._read_obstacles(clip.source)
        tracks = self._tracks[1]
        if tracks is None or not self.dataset.cuts_recordings or clip.clip_id == clip.source.recording_id:
            return tracks
        start_us = start_of(clip.clip_id)
        return tracks.between(start_us, start_us + CLIP_US)

    def _read_obstacles(self, source: Source) -> ObstacleTracks | None:
        try:
            return self.dataset.read_obstacles(source, self.dataset.read_ego(source))
        except ClipError:
            raise
        except Exception as error:  # whatever a reader stumbles over costs this source only
            log.exception("%s: reading obstacles failed", source)
            raise _unforeseen(source, error) from error

    def _load_source(self, source: Source) -> list[LoadedClip]:
        # Stamped before it is read: what is replaced in between then counts as changed, not as read.
        stamps = self.dataset.stamps(source)
        try:
            clips = self.dataset.clips_of(source)
        except ClipError as error:
            return [LoadedClip(source.recording_id, source, error, stamps)]
        except Exception as error:  # whatever a reader stumbles over costs this source only
            log.exception("%s: reading failed", source)
            return [LoadedClip(source.recording_id, source, _unforeseen(source, error), stamps)]
        return [LoadedClip(clip_id, source, _on_ticks(samples), stamps) for clip_id, samples in clips]

    def _cache_path(self, group: SourceGroup) -> str:
        readable = "".join(c if c.isalnum() or c in "._-" else "_" for c in group.name)[-80:]
        return f"{self._cache_folder}/{readable}.{hashlib.sha256(group.name.encode()).hexdigest()[:8]}.arrow"

    def _read_cache(self, group: SourceGroup) -> pa.Table:
        """Return the rows of a group's file; a missing, damaged or older one counts as empty."""
        path = self._cache_path(group)
        if not files.exists(path):
            return _SCHEMA.empty_table()
        try:
            with pa.memory_map(path) as file:
                table = pa.ipc.open_file(file).read_all().combine_chunks()
                table.validate(full=True)
            same = table.schema == _SCHEMA and table.schema.metadata == _SCHEMA.metadata
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names that are no text
            log.warning("%s: damaged cache file is made again (%s)", path, error)
            return _SCHEMA.empty_table()
        return table if same else _SCHEMA.empty_table()

    def _valid(self, table: pa.Table, group: SourceGroup) -> dict[str, list[LoadedClip]]:
        """Return the clips in a cache table by recording id, of sources that have not changed since."""
        sources = {source.recording_id: source for source in group.sources}
        current = {name: self.dataset.stamps(source) for name, source in sources.items()}
        values = table.column("values").combine_chunks()
        bounds, flat = values.offsets.to_numpy(), values.values.to_numpy()
        clips: dict[str, list[LoadedClip]] = {}
        for i, row in enumerate(table.drop_columns(["values"]).to_pylist()):
            source = sources.get(row["recording_id"])
            stamps = current.get(row["recording_id"])
            if source is None or stamps is None or row["stamps"] != _fingerprint(source, stamps):
                continue
            result = _from_row(row, flat[bounds[i] : bounds[i + 1]])
            clips.setdefault(source.recording_id, []).append(LoadedClip(row["clip_id"], source, result, stamps))
        return clips

    def _write_cache(self, group: SourceGroup, cached: pa.Table, fresh: dict[str, list[LoadedClip]]) -> None:
        """Add fresh clips to a group's file; failures to read are left out, so that they are tried again."""
        kept = [rows for rows in fresh.values() if not any(isinstance(row.result, ClipFailedError) for row in rows)]
        clips = [clip for rows in kept for clip in rows]
        others = cached.filter(pc.invert(pc.is_in(cached.column("recording_id"), pa.array(list(fresh), pa.string()))))
        try:
            Path(str(self._cache_folder)).mkdir(parents=True, exist_ok=True)
            with files.atomic_path(self._cache_path(group)) as path, pa.ipc.new_file(path, _SCHEMA) as writer:
                writer.write_table(others)
                writer.write_batch(_to_rows(clips))
        except OSError as error:  # a cache that cannot be written costs time, never labels
            log.warning("%s: cannot write the cache (%s); going on without it", self._cache_folder, error)
            self._cache_folder = None


def _fingerprint(source: Source, stamps: str | None) -> str | None:
    return stamps and f"{source} {stamps}"


def _to_rows(clips: list[LoadedClip]) -> pa.RecordBatch:
    """Return clips as rows of the cache."""
    problems = [clip.result if isinstance(clip.result, ClipError) else None for clip in clips]
    motions = [clip.result if isinstance(clip.result, EgoMotion) else None for clip in clips]
    flat = [np.hstack([m.xyz, m.quat, m.velocity, m.heading[:, None]]).ravel() if m else np.zeros(0) for m in motions]
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in flat])]).astype(np.int32)
    columns = [
        pa.array([clip.source.recording_id for clip in clips], pa.string()),
        pa.array([_fingerprint(clip.source, clip.stamps) for clip in clips], pa.string()),
        pa.array([clip.clip_id for clip in clips], pa.string()),
        pa.array([p and p.reason for p in problems], pa.string()),
        pa.array([p and str(p) for p in problems], pa.string()),
        pa.array([m.first_tick if m else None for m in motions], pa.int16()),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate([np.zeros(0), *flat]))),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def find_groups(groups: Iterable[SourceGroup], clip_ids: frozenset[str], *, cuts_recordings: bool) -> list[SourceGroup]:
    """Return the groups, and in them the sources, that can hold the given clips."""
    wanted = set(clip_ids)
    if cuts_recordings:  # <recording>-<start second>
        wanted |= {recording_of(clip_id) for clip_id in clip_ids}
    chosen = []
    for group in groups:
        sources = tuple(source for source in group.sources if source.recording_id in wanted)
        if sources:
            chosen.append(SourceGroup(group.name, sources))
    return chosen


def _cache_folder(cache_dir: str, dataset: Dataset) -> str:
    origin = hashlib.sha256(str(Path(dataset.data_dir).resolve()).encode()).hexdigest()[:12]
    return files.join(cache_dir, f"{dataset.name}-{origin}")


def _on_ticks(samples: EgoSamples | ClipError) -> EgoMotion | ClipError:
    if isinstance(samples, ClipError):
        return samples
    try:
        return resample(samples)
    except ClipError as error:
        return error


def _from_row(row: dict, values: np.ndarray) -> EgoMotion | ClipError:
    if row["rejected"] is not None:
        return ClipRejectedError(row["rejected"], row["detail"])
    matrix = values.reshape(-1, _VALUES)
    return EgoMotion(row["first_tick"], matrix[:, :3], matrix[:, 3:7], matrix[:, 7:10], matrix[:, 10])


def _unforeseen(source: Source, error: Exception) -> ClipFailedError:
    return ClipFailedError(
        "crashed", f"{source}: {type(error).__name__} while reading: {error}. Please report this file."
    )
