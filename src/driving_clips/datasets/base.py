"""What a dataset is to the rest of the toolkit: sources that are found quickly and read one by one."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from driving_clips import files
from driving_clips.ego_motion import LAST_TICK, MIN_TICKS, TICK_US, EgoSamples
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.obstacles import ObstacleTracks

CLIP_US = LAST_TICK * TICK_US
CLIP_SEC = CLIP_US // 1_000_000
_LEGAL_ID = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$")


@dataclass(frozen=True)
class Source:
    """Where the ego motion of one recording lies.

    Attributes:
        recording_id: the clip's id, or the recording's where recordings are cut into clips.
        path: the file, or the recording's folder, that is read.
        member: the member's name where ``path`` is a zip archive, else empty.
        repeats: further places that claim the same id; they must hold the same bytes.
    """

    recording_id: str
    path: str
    member: str = ""
    repeats: tuple["Source", ...] = ()

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else self.path


@dataclass(frozen=True)
class SourceGroup:
    """Sources that are read, and cached, together: a chunk zip, or a bucket of loose files."""

    name: str
    sources: tuple[Source, ...]


@dataclass
class Discovery:
    """What a dataset's folder holds.

    Attributes:
        groups: sources in groups, in a fixed order.
        problems: files that cannot be used, by a name for the report.
    """

    groups: list[SourceGroup] = field(default_factory=list)
    problems: dict[str, ClipError] = field(default_factory=dict)


@dataclass(frozen=True)
class VideoLocation:
    """Where a camera's video and its frame timestamps lie.

    Attributes:
        camera: the camera's name.
        path: the mp4 file, or the zip archive that holds it.
        member: the mp4's name within the archive, else empty.
        timestamps: path or member name of the frame timestamps, or None where there are none.
    """

    camera: str
    path: str
    member: str = ""
    timestamps: str | None = None


def find_sidecar(video: str, is_there: Callable[[str], bool]) -> str | None:
    """Return the name of a video's frame timestamps, of those that are in use, or None where there is none."""
    stem = video.removesuffix(".mp4")
    names = (f"{base}.timestamps{ending}" for base in (stem, video) for ending in (".parquet", ""))
    return next((name for name in names if is_there(name)), None)


class Dataset(ABC):
    """A dataset on disk. Subclasses are registered in ``driving_clips.datasets.DATASETS`` or by entry point.

    Instances are small and travel to worker processes.
    """

    name: ClassVar[str]
    cuts_recordings: ClassVar[bool] = False
    has_map: ClassVar[bool] = False

    def __init__(self, data_dir: str) -> None:
        if not files.is_dir(data_dir):
            raise DatasetError(f"{data_dir}: no such folder. --data_dir must name the {self.name} dataset's root.")
        self.data_dir = data_dir

    @abstractmethod
    def discover(self) -> Discovery:
        """Find all sources without reading ego motion; raises DatasetError where there is none."""

    @abstractmethod
    def read_ego(self, source: Source) -> EgoSamples:
        """Read one recording on its own clock, whose zero is its first clip's start; raises ClipError."""

    def read_obstacles(self, source: Source, ego: EgoSamples) -> ObstacleTracks | None:
        """Read the recording's obstacle tracks on the clock and in the frame of ``ego``; None where there are none."""
        return None

    def find_video(self, clip_id: str, camera: str) -> VideoLocation | None:
        """Locate a clip's video; None where the dataset has none."""
        return None

    def stamped_paths(self, source: Source) -> tuple[str, ...]:
        """Return the files whose size and time say whether the source has changed."""
        return (source.path, *(repeat.path for repeat in source.repeats))

    def read_source(self, source: Source) -> bytes:
        """Return the bytes of a source; where several places claim its id they must agree.

        Raises:
            ClipFailedError: unreadable, or two different files with one id.
        """
        content = read_place(source)
        for repeat in source.repeats:
            if read_place(repeat) != content:
                raise duplicate_id(source, repeat)
        return content

    def clips_of(self, source: Source) -> list[tuple[str, EgoSamples | ClipError]]:
        """Read a source and return its clips in time order, each on its own clock."""
        samples = self.read_ego(source)
        if not self.cuts_recordings:
            return [(source.recording_id, samples)]
        return cut(source.recording_id, samples)


def read_place(source: Source) -> bytes:
    """Return the bytes of one file or archive member; raises ClipFailedError."""
    if source.member:
        return files.read_zip_member(source.path, source.member)
    try:
        return files.read_bytes(source.path)
    except OSError as error:
        raise ClipFailedError("unreadable", f"{source.path}: cannot be read ({error.strerror or error}).") from error


def duplicate_id(first: Source, second: Source) -> ClipFailedError:
    """Return the error of two sources that differ and have one id."""
    return ClipFailedError(
        "duplicate_id",
        f"{first.recording_id}: two different recordings have this id, {first} and {second}. Remove or rename one.",
    )


def cut(recording_id: str, samples: EgoSamples) -> list[tuple[str, EgoSamples | ClipError]]:
    """Cut a recording over 20 s into consecutive clips ``<id>-<start second>``; a shorter one keeps its id.

    Neighbouring clips share the sample at their border, so that each has 201 ticks. A rest too short to
    label is returned as a rejection.
    """
    samples = samples.cleaned()
    end_us = int(samples.t_us[-1])
    if end_us <= CLIP_US:
        return [(recording_id, samples)]
    clips: list[tuple[str, EgoSamples | ClipError]] = []
    first_start = max(0, int(samples.t_us[0])) // CLIP_US * CLIP_US
    for start_us in range(first_start, end_us, CLIP_US):
        clip_id = f"{recording_id}-{start_us // 1_000_000}"
        if end_us - start_us < (MIN_TICKS - 1) * TICK_US:
            rest = ClipRejectedError(
                "too_short", f"the last {(end_us - start_us) / 1e6:.2f} s of {recording_id} are too short to label."
            )
            clips.append((clip_id, rest))
        else:
            clips.append((clip_id, _window(samples, start_us)))
    return clips


def _window(samples: EgoSamples, start_us: int) -> EgoSamples:
    """Return the samples that the ticks of the clip at ``start_us`` need, one beyond each end included."""
    first = max(0, int(samples.t_us.searchsorted(start_us, side="right")) - 1)
    last = int(samples.t_us.searchsorted(start_us + CLIP_US, side="left")) + 1
    rows = slice(first, last)
    velocity = None if samples.velocity is None else samples.velocity[rows]
    return EgoSamples(samples.t_us[rows] - start_us, samples.xyz[rows], samples.quat[rows], velocity)


def collect(discovery: Discovery, found: Iterable[tuple[str, Source]]) -> None:
    """Sort sources into groups, given (group name, source) in order of preference for repeated ids.

    Ids that are no legal clip id become problems; repeated ids are joined to the first source of that id.
    """
    first: dict[str, Source] = {}
    group_of: dict[str, str] = {}
    repeats: dict[str, list[Source]] = {}
    for group, source in found:
        name = source.recording_id
        if not _LEGAL_ID.match(name):
            discovery.problems[str(source)] = ClipFailedError(
                "illegal_id",
                f"{source}: {name!r} cannot be a clip id (letters, digits, '.', '_' and '-', not starting with "
                "'.', at most 200). Rename the file.",
            )
        elif name in first:
            repeats.setdefault(name, []).append(source)
        else:
            first[name], group_of[name] = source, group
    for name, others in repeats.items():
        first[name] = Source(name, first[name].path, first[name].member, tuple(others))
    grouped: dict[str, list[Source]] = {}
    for name in sorted(first):
        grouped.setdefault(group_of[name], []).append(first[name])
    discovery.groups += [SourceGroup(group, tuple(grouped[group])) for group in sorted(grouped)]
