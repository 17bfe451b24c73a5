"""What a dataset is to the rest of the toolkit: sources that are found quickly and read one by one."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from driving_clips import files
from driving_clips.driving_sides import DrivingSide
from driving_clips.ego_motion import LAST_TICK, MIN_TICKS, TICK_US, EgoSamples
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError
from driving_clips.obstacles import ObstacleTracks

CLIP_US = LAST_TICK * TICK_US
CLIP_SEC = CLIP_US // 1_000_000
_LEGAL_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_CUT_ID = re.compile(r".+-[0-9]{1,9}")


def is_legal_id(name: str) -> bool:
    """Say whether a text may be a clip id: it becomes the name of files and folders."""
    return _LEGAL_ID.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)  # there are 300,000 of them
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
        place = f"{self.path}!{self.member}" if self.member else self.path
        return place.encode(errors="backslashreplace").decode()  # names of files may hold bytes that are no UTF-8


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
        clock_zero_us: what the timestamps' clock reads at the start of the recording.
        start_us: where in the recording the clip starts; a clip with a video of its own starts at 0.
    """

    camera: str
    path: str
    member: str = ""
    timestamps: str | None = None
    clock_zero_us: int = 0
    start_us: int = 0

    def __str__(self) -> str:
        return str(Source("", self.path, self.member))


def find_sidecar(video: str, is_there: Callable[[str], bool]) -> str | None:
    """Return the name of a video's frame timestamps, of those that are in use, or None where there is none."""
    stem = video.removesuffix(".mp4")
    names = (f"{base}.timestamps{ending}" for base in (stem, video) for ending in (".parquet", ""))
    return next((name for name in names if is_there(name)), None)


def index_archives(paths: Iterable[str], camera: str) -> tuple[dict[str, VideoLocation], list[ClipError]]:
    """Find one camera's videos ``<clip_id>.<camera>.mp4`` in zip archives, whatever the archives are called.

    Returns:
        The videos by clip id, the first of several with one id; and the problem of each archive that cannot be opened.
    """
    suffix = f".{camera}.mp4"
    videos: dict[str, VideoLocation] = {}
    problems: list[ClipError] = []
    for path in paths:
        try:
            members = files.open_zip(path).NameToInfo
        except ClipError as error:
            problems.append(error)
            continue
        for member in members:
            if member.endswith(suffix):
                clip_id = member.rsplit("/", 1)[-1].removesuffix(suffix)
                sidecar = find_sidecar(member, members.__contains__)
                videos.setdefault(clip_id, VideoLocation(camera, path, member, sidecar))
    return videos, problems


def raise_again(problems: Iterable[ClipError]) -> None:
    """Raise the first of the archives' problems, for a clip that may be in one of them."""
    for problem in problems:
        raise ClipFailedError(problem.reason, str(problem)) from problem


class Dataset(ABC):
    """A dataset on disk. Subclasses are registered in ``driving_clips.datasets.DATASETS`` or by entry point.

    Instances are small and travel to worker processes.
    """

    name: ClassVar[str]
    cuts_recordings: ClassVar[bool] = False
    has_map: ClassVar[bool] = False

    def __init__(self, data_dir: str) -> None:
        if not files.is_dir(data_dir):
            raise DatasetError(f"{data_dir}: no such folder. data_dir must name the {self.name} dataset's root.")
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

    def driving_side(self, clip_id: str) -> DrivingSide | None:
        """Return the side of the road that traffic keeps to where a clip was recorded; None where it is not known."""
        return None

    def stamped_paths(self, source: Source) -> tuple[str, ...]:
        """Return the files whose size and time say whether the source has changed."""
        return (source.path, *(repeat.path for repeat in source.repeats))

    def read_source(self, source: Source) -> bytes:
        """Return the bytes of a source; where several places claim its id they must agree.

        Raises:
            ClipFailedError: unreadable, or two different files with one id.
        """
        content = self.read_place(source)
        for repeat in source.repeats:
            if self.read_place(repeat) != content:
                raise duplicate_id(source, repeat)
        return content

    def read_place(self, source: Source) -> bytes:
        """Return the bytes of one file or archive member; raises ClipFailedError."""
        if source.member:
            return files.read_zip_member(source.path, source.member)
        try:
            return files.read_bytes(source.path)
        except OSError as error:
            raise ClipFailedError(
                "unreadable", f"{source.path}: cannot be read ({error.strerror or error})."
            ) from error

    def stamps(self, source: Source) -> str | None:
        """Return size and time of a source's files as text, to compare later; None where one is missing."""
        return stamps_of(self.stamped_paths(source))

    def clips_of(self, source: Source) -> list[tuple[str, EgoSamples | ClipError]]:
        """Read a source and return its clips in time order, each on its own clock."""
        samples = self.read_ego(source)
        if not self.cuts_recordings:
            return [(source.recording_id, samples)]
        return cut(source.recording_id, samples)


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
    starts = np.unique(samples.t_us[samples.t_us >= 0] // CLIP_US) * CLIP_US
    clips: list[tuple[str, EgoSamples | ClipError]] = []
    expected_us = int(starts[0])
    for start_us in starts.tolist():
        if start_us > expected_us:  # one word for a stretch without samples, however long
            silence = f"no ego motion from {expected_us / 1e6:.0f} to {start_us / 1e6:.0f} s of {recording_id}."
            clips.append((clip_name(recording_id, expected_us), ClipRejectedError("hole", silence)))
        expected_us = start_us + CLIP_US
        if end_us == start_us:
            continue  # the border that the clip before has as its last tick
        clip: EgoSamples | ClipError = _window(samples, start_us)
        if end_us - start_us < (MIN_TICKS - 1) * TICK_US:
            rest = f"the last {(end_us - start_us) / 1e6:.2f} s of {recording_id} are too short to label."
            clip = ClipRejectedError("too_short", rest)
        clips.append((clip_name(recording_id, start_us), clip))
    return clips


def clip_name(recording_id: str, start_us: int) -> str:
    """Return the id of the clip that is cut from a recording at ``start_us``."""
    return f"{recording_id}-{start_us // 1_000_000}"


def is_cut(clip_id: str) -> bool:
    """Say whether an id has the form of a clip that is cut from a recording."""
    return _CUT_ID.fullmatch(clip_id) is not None


def recording_of(clip_id: str) -> str:
    """Return the recording that a clip of this id would have been cut from."""
    return clip_id.rpartition("-")[0]


def start_of(clip_id: str) -> int:
    """Return where in its recording a cut clip starts, in us."""
    return int(clip_id.rpartition("-")[2]) * 1_000_000


def stamps_of(paths: Iterable[str]) -> str | None:
    """Return path, size and time of files as text; None where one of them is missing."""
    stamps = [(path, files.stamp_or_none(path)) for path in paths]
    rows = [[path, stamp.size, stamp.mtime_ns] for path, stamp in stamps if stamp]
    return json.dumps(rows) if rows and len(rows) == len(stamps) else None


def _window(samples: EgoSamples, start_us: int) -> EgoSamples:
    """Return the samples that the ticks of the clip at ``start_us`` need, one beyond each end included."""
    first = max(0, int(samples.t_us.searchsorted(start_us, side="right")) - 1)
    last = int(samples.t_us.searchsorted(start_us + CLIP_US, side="left")) + 1
    return samples.rows(slice(first, last)).shifted(start_us)


def collect(discovery: Discovery, found: Iterable[tuple[str, Source]]) -> None:
    """Sort sources into groups, given (group name, source) in order of preference for repeated ids.

    Ids that are no legal clip id become problems; repeated ids are joined to the first source of that id.
    """
    first: dict[str, Source] = {}
    group_of: dict[str, str] = {}
    repeats: dict[str, list[Source]] = {}
    for group, source in found:
        name = source.recording_id
        if not is_legal_id(name):
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
