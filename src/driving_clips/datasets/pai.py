"""The Physical AI AV dataset: chunk zips with a member per clip, or the same members unpacked."""

import logging
import re
from collections.abc import Iterator
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from driving_clips import files
from driving_clips.datasets import columns
from driving_clips.datasets.base import (
    Dataset,
    Discovery,
    Source,
    VideoLocation,
    collect,
    find_sidecar,
    index_archives,
    raise_again,
)
from driving_clips.datasets.loose import bucket
from driving_clips.driving_sides import DrivingSide, driving_side_of
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipError, DatasetError
from driving_clips.obstacles import ObstacleTracks, from_rig_frame

log = logging.getLogger(__name__)

EGO_FEATURES = ("egomotion", "egomotion.offline")  # in order of preference
OBSTACLES = "obstacle.offline"
_CHUNK = re.compile(r"\.(chunk_\d+)\.zip$")  # the archives of all features are cut alike

TIME, POSITION, ROTATION, VELOCITY = "timestamp", ("x", "y", "z"), ("qx", "qy", "qz", "qw"), ("vx", "vy", "vz")
_OLD = "EgomotionEstimate"
OLD_NAMES = {
    TIME: "key.timestamp_micros",
    **{name: f"{_OLD}.location.{name}" for name in POSITION},
    **{name: f"{_OLD}.orientation.{name[1]}" for name in ROTATION},
    **{name: f"{_OLD}.velocity.{name[1]}" for name in VELOCITY},
}
_BOX_NUMBERS = (
    ("center_x", "center_y", "center_z"),
    ("orientation_x", "orientation_y", "orientation_z", "orientation_w"),
    ("size_x", "size_y", "size_z"),
)


class PaiDataset(Dataset):
    """Physical AI AV dataset, https://huggingface.co/datasets/nvidia/PhysicalAI-Autonomous-Vehicles."""

    name = "pai"

    def discover(self) -> Discovery:
        """List the clips of all egomotion zips and files; clips without egomotion fall back to egomotion.offline."""
        discovery = Discovery()
        by_feature = [list(self._places(feature, discovery)) for feature in EGO_FEATURES]
        preferred = {source.recording_id for _, source in by_feature[0]}
        fallback = [(group, source) for group, source in by_feature[1] if source.recording_id not in preferred]
        collect(discovery, [*by_feature[0], *fallback])
        if not discovery.groups and not discovery.problems:
            raise DatasetError(
                f"{self.data_dir}: no ego motion found. Expected labels/egomotion/*.zip (or unpacked "
                "<clip_id>.egomotion.parquet files there), or labels/egomotion.offline. "
                "data_dir must be the dataset's root."
            )
        return discovery

    def read_ego(self, source: Source) -> EgoSamples:
        """Read egomotion or egomotion.offline, under today's or the older column names."""
        file = columns.open_parquet(self.read_source(source), source)
        there = set(file.schema_arrow.names)
        required = (TIME, *POSITION, *ROTATION)
        names = {name: name for name in (*required, *VELOCITY)}
        if OLD_NAMES[TIME] in there and TIME not in there:
            names = OLD_NAMES
        missing = [names[name] for name in required if names[name] not in there]
        if missing:
            raise columns.wrong_schema(
                source, f"columns {', '.join(missing)}", f"only {', '.join(sorted(there)) or 'none'}"
            )
        has_velocity = all(names[name] in there for name in VELOCITY)
        table = columns.read_parquet(file, [names[n] for n in (*required, *(VELOCITY if has_velocity else ()))], source)
        return EgoSamples(
            columns.microseconds(table, names[TIME], source),
            columns.floats_2d(table, [names[n] for n in POSITION], source),
            columns.floats_2d(table, [names[n] for n in ROTATION], source),
            columns.floats_2d(table, [names[n] for n in VELOCITY], source) if has_velocity else None,
        )

    def read_obstacles(self, source: Source, ego: EgoSamples) -> ObstacleTracks | None:
        """Read obstacle.offline; each box is moved by the ego pose of its own instant."""
        place = self._obstacle_place(source)
        return None if place is None else read_boxes(self.read_source(place), place, ego)

    def find_video(self, clip_id: str, camera: str) -> VideoLocation | None:
        """Locate ``camera/<camera>/``: an unpacked mp4 first, else the member of a chunk zip.

        Raises:
            ClipFailedError: it is nowhere, and an archive that may hold it cannot be opened.
        """
        if camera not in self._videos:
            self._videos[camera] = self._index_videos(camera)
        videos, problems = self._videos[camera]
        if clip_id not in videos:
            raise_again(problems)
        return videos.get(clip_id)

    def driving_side(self, clip_id: str) -> DrivingSide | None:
        """Return the side by the clip's country in ``metadata/data_collection.parquet``."""
        country = self._countries.get(clip_id)
        return None if country is None else driving_side_of(country)

    @cached_property
    def _countries(self) -> dict[str, str]:
        path = files.join(self.data_dir, "metadata", "data_collection.parquet")
        if not files.exists(path):
            return {}
        try:
            table = pq.read_table(path, partitioning=None)
            ids = "clip_id" if "clip_id" in table.column_names else "__index_level_0__"
            names = zip(table.column(ids).to_pylist(), table.column("country").to_pylist(), strict=True)
            return {str(clip): str(country) for clip, country in names if country is not None}
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            log.warning("%s: expected columns clip_id and country (%s); the driving side is not known", path, error)
            return {}

    def _obstacle_place(self, source: Source) -> Source | None:
        """Return where a clip's boxes are: in the archive of its own chunk, else wherever they are found."""
        chunk = _CHUNK.search(source.path)
        if chunk:
            path = files.join(self.data_dir, "labels", OBSTACLES, f"{OBSTACLES}.{chunk[1]}.zip")
            member = f"{source.recording_id}.{OBSTACLES}.parquet"
            if files.exists(path) and member in files.open_zip(path).NameToInfo:
                return Source(source.recording_id, path, member)
        places, problems = self._obstacles
        if source.recording_id not in places:
            raise_again(problem for name, problem in problems.items() if not _CHUNK.search(name))
        return places.get(source.recording_id)

    @cached_property
    def _obstacles(self) -> tuple[dict[str, Source], dict[str, ClipError]]:
        """Where each clip's boxes are, and the archives that cannot be opened."""
        discovery = Discovery()
        places: dict[str, Source] = {}
        for _, source in self._places(OBSTACLES, discovery):
            places.setdefault(source.recording_id, source)
        return places, discovery.problems

    def _places(self, feature: str, discovery: Discovery) -> Iterator[tuple[str, Source]]:
        """Yield every (group name, source) of a label feature; zips that cannot be opened become problems."""
        suffix = f".{feature}.parquet"
        root = files.join(self.data_dir, "labels", feature)
        for path in files.walk_files(root, (".zip", suffix)):
            if path.endswith(suffix):
                name = files.base_name(path).removesuffix(suffix)
                yield f"{feature}/{bucket(name)}", Source(name, path)
                continue
            group = files.relative(path, root)
            try:
                members = files.open_zip(path).namelist()
            except ClipError as error:
                discovery.problems[files.relative(path, self.data_dir)] = error
                continue
            for member in members:
                if member.endswith(suffix):
                    yield f"{feature}/{group}", Source(member.rsplit("/", 1)[-1].removesuffix(suffix), path, member)

    @cached_property
    def _videos(self) -> dict[str, tuple[dict[str, VideoLocation], list[ClipError]]]:
        return {}

    def _index_videos(self, camera: str) -> tuple[dict[str, VideoLocation], list[ClipError]]:
        suffix = f".{camera}.mp4"
        unpacked: dict[str, VideoLocation] = {}
        archives: list[str] = []
        for path in files.walk_files(files.join(self.data_dir, "camera", camera), (".zip", suffix)):
            if path.endswith(suffix):
                clip_id = files.base_name(path).removesuffix(suffix)
                unpacked[clip_id] = VideoLocation(camera, path, "", find_sidecar(path, files.exists))
            else:
                archives.append(path)
        zipped, problems = index_archives(archives, camera)
        return zipped | unpacked, problems


def read_boxes(content: bytes, origin: object, ego: EgoSamples, *, offset_us: int = 0) -> ObstacleTracks:
    """Read the obstacle.offline schema and move the boxes into the frame of ``ego``.

    Boxes are in the rig frame at ``reference_frame_timestamp_us`` (the row's own time where that column is
    missing). ``offset_us`` is the reading on the file's clock at the zero of ego's clock.

    Raises:
        ClipFailedError: not this schema, or boxes in another frame than the rig's.
    """
    file = columns.open_parquet(content, origin)
    there = set(file.schema_arrow.names)
    required = ["timestamp_us", "track_id", "label_class", *(name for names in _BOX_NUMBERS for name in names)]
    missing = [name for name in required if name not in there]
    if missing:
        raise columns.wrong_schema(origin, f"columns {', '.join(missing)}", f"only {', '.join(sorted(there))}")
    optional = [name for name in ("reference_frame", "reference_frame_timestamp_us") if name in there]
    table = columns.read_parquet(file, [*required, *optional], origin)
    if "reference_frame" in optional:
        frames = set(columns.texts(table, "reference_frame", origin).tolist()) - {"rig"}
        if frames:
            raise columns.wrong_schema(origin, "boxes in reference_frame rig", f"{sorted(frames)}")
    t_us = columns.microseconds(table, "timestamp_us", origin) - offset_us
    reference = t_us
    if "reference_frame_timestamp_us" in optional:
        reference = columns.microseconds(table, "reference_frame_timestamp_us", origin) - offset_us
    center, quat, size = (columns.floats_2d(table, names, origin) for names in _BOX_NUMBERS)
    track_id, label_class = (columns.texts(table, name, origin) for name in ("track_id", "label_class"))
    return from_rig_frame(t_us, reference, track_id, label_class, center, quat, size, ego)
