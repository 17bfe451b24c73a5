"""Pictures of an export: decoded once per clip, a JPEG file each; what is there already is not decoded again."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.scenes import Frame
from coc_labeling.footage import find_redactor
from driving_clips import files
from driving_clips.datasets.base import VideoLocation, is_legal_id
from driving_clips.datasets.loose import stable_hash
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError
from driving_clips.video.locating import VideoFinder
from driving_clips.video.pictures import ImageSettings
from driving_clips.video.reading import VideoReader
from driving_clips.video.timestamps import nearest

INDEX = ".frames.json"
SETTINGS = ".settings.json"
# The order in which the reasoning model knows its cameras; others follow by name.
CAMERA_ORDER = (
    "camera_cross_left_120fov",
    "camera_front_wide_120fov",
    "camera_cross_right_120fov",
    "camera_rear_left_70fov",
    "camera_rear_tele_30fov",
    "camera_rear_right_70fov",
    "camera_front_tele_30fov",
)
_LONGEST_TOLERANCE_US = 250_000

Windows = dict[str, list[tuple[str, int]]]  # cameras and times of the frames by keyframe


def in_order(cameras: Sequence[str]) -> tuple[str, ...]:
    """Return cameras in the model's order.

    Example:
        >>> in_order(["own", "camera_front_tele_30fov", "camera_front_wide_120fov"])
        ('camera_front_wide_120fov', 'camera_front_tele_30fov', 'own')
    """
    known = [name for name in CAMERA_ORDER if name in cameras]
    return (*known, *sorted(set(cameras) - set(known)))


@dataclass(frozen=True)
class PictureWriter:
    """Writes ``<root>/<folder>/<clip>/<camera>_<t_us>.jpg``; small, so that it travels to worker processes.

    Beside a clip's pictures lies what they were made from and which of them belong to which keyframe. A clip of which
    that is the same is not opened again; of another, pictures that are there are kept while its videos are unchanged.

    Attributes:
        root: the export's folder.
        folder: the pictures' folder in it.
        finder: where videos lie.
        cameras: which ones, in the order they are shown.
        offsets_us: when, in us relative to the keyframe; none is after it.
        images: how pictures are encoded.
        redactor: name of a function that changes frames before they are written, or None.
    """

    root: str
    folder: str
    finder: VideoFinder
    cameras: tuple[str, ...]
    offsets_us: tuple[int, ...]
    images: ImageSettings
    redactor: str | None = None

    def claim(self) -> None:
        """Create the pictures' folder, and remember how they are encoded.

        Raises:
            CocLabelingError: pictures that were encoded otherwise lie there.
        """
        if self.redactor is not None:
            find_redactor(self.redactor)
        path = files.join(self.root, self.folder, SETTINGS)
        own = json.dumps(asdict(self.images) | {"redactor": self.redactor})
        files.make_parents(path)
        if files.exists(path) and files.read_text(path) != own:
            raise CocLabelingError(
                f"{files.parent(path)}: its pictures were made with other settings of size, quality or redaction "
                f"({files.read_text(path)[:200]}, now {own}). Choose a new folder for --out, or delete that one."
            )
        files.write_atomic(path, own)

    def of_clip(self, clip_id: str, t0s_us: Sequence[int]) -> list[tuple[Frame, ...] | ClipError]:
        """Write the pictures of a clip's keyframes; returns, for each, its frames, or why there are none.

        Every camera has at least one frame; frames before the clip's start are missing without a word.
        """
        if not is_legal_id(clip_id):
            return [ClipFailedError("illegal_id", f"{clip_id!r} cannot be a clip id.")] * len(t0s_us)
        try:
            videos = [self._video(clip_id, camera) for camera in self.cameras]
        except ClipError as error:
            return [error] * len(t0s_us)
        clip = _ClipPictures(self, clip_id, {video.camera: _stamps_of(video) for video in videos})
        found: list[tuple[Frame, ...] | ClipError] = []
        for known in clip.known(t0s_us):
            if known is None:
                return clip.make(videos, t0s_us)
            found.append(tuple(Frame(clip.name(camera, t), camera, t) for camera, t in known))
        return found

    def _video(self, clip_id: str, camera: str) -> VideoLocation:
        video = self.finder.find(clip_id, camera)
        if video is None:
            raise ClipRejectedError(f"no video of {camera}", f"{clip_id}: no video of {camera} was found.")
        return video


class _ClipPictures:
    """The pictures of one clip."""

    def __init__(self, writer: PictureWriter, clip_id: str, stamps: Mapping[str, list[int]]) -> None:
        self._writer, self._clip_id = writer, clip_id
        self._folder = files.join(writer.root, writer.folder, clip_id)
        self._source = {"videos": dict(stamps), "offsets_us": list(writer.offsets_us)}
        self._earlier = read_index(self._folder)

    def name(self, camera: str, t_us: int) -> str:
        """Return a picture's path as seen from the export's folder."""
        return f"{self._writer.folder}/{self._clip_id}/{_file_name(camera, t_us)}"

    def known(self, t0s_us: Sequence[int]) -> list[list[tuple[str, int]] | None]:
        """Return the frames of keyframes, as far as all of them were written from these videos."""
        earlier = self._earlier
        if any(earlier.get(key) != value for key, value in self._source.items()):
            return [None] * len(t0s_us)
        there = set(files.list_names(self._folder, ".jpg"))
        windows = [earlier["windows"].get(str(t0)) for t0 in t0s_us]
        return [own if own and all(_file_name(*frame) in there for frame in own) else None for own in windows]

    def make(self, videos: Sequence[VideoLocation], t0s_us: Sequence[int]) -> list[tuple[Frame, ...] | ClipError]:
        """Decode what is not there."""
        same_videos = self._earlier.get("videos") == self._source["videos"]
        files.make_dir(self._folder)
        files.remove_leftovers(self._folder)
        self._write_index({})  # whoever goes on after a kill knows which videos the pictures are of
        by_camera = [self._of_camera(video, t0s_us, fresh=not same_videos) for video in videos]
        found: list[tuple[Frame, ...] | ClipError] = []
        for row in zip(*by_camera, strict=True):
            error = next((frames for frames in row if isinstance(frames, ClipError)), None)
            found.append(
                error or tuple(frame for frames in row if not isinstance(frames, ClipError) for frame in frames)
            )
        pairs = zip(t0s_us, found, strict=True)
        self._write_index({str(t0): [(f.camera, f.t_us) for f in own] for t0, own in pairs if isinstance(own, tuple)})
        return found

    def _of_camera(
        self, location: VideoLocation, t0s_us: Sequence[int], *, fresh: bool
    ) -> list[tuple[Frame, ...] | ClipError]:
        try:
            with VideoReader(location) as video:
                if video.refused_times:  # what was seen until when needs times that hold
                    raise ClipFailedError("bad_frame_times", f"{video.notices[0]} Repair them, or remove the file.")
                wanted = [self._indices(video, t0) for t0 in t0s_us]
                there = set() if fresh else self._there(video, wanted)
                try:
                    self._write(video, {index for own in wanted for index in own} - there)
                    lost: set[int] = set()
                except ClipError:  # some frame is damaged: only the keyframes that show it are lost
                    lost = self._write_each(video, wanted, there)
                return [self._frames(video, own, t0, lost) for t0, own in zip(t0s_us, wanted, strict=True)]
        except ClipError as error:
            return [error] * len(t0s_us)

    def _frames(
        self, video: VideoReader, indices: Sequence[int], t0_us: int, lost: set[int]
    ) -> tuple[Frame, ...] | ClipError:
        camera = video.location.camera
        if lost & set(indices):
            at = ", ".join(f"{video.t_us[index] / 1e6:.3f}" for index in sorted(lost & set(indices)))
            return ClipFailedError("corrupt_video", f"{video.location}: its frames at {at} s cannot be decoded.")
        if not indices:
            detail = f"{self._clip_id}: no frame of {camera} up to {t0_us / 1e6:.2f} s."
            return ClipRejectedError(f"no frame of {camera}", detail)
        times = [int(video.t_us[index]) for index in indices]
        return tuple(Frame(self.name(camera, t), camera, t) for t in times)

    def _indices(self, video: VideoReader, t0_us: int) -> list[int]:
        """Return the frames nearest to the times asked for, each once, the oldest first, none after the keyframe."""
        times = np.array([t0_us + offset for offset in self._writer.offsets_us], dtype=np.int64)
        known = int(np.searchsorted(video.t_us, t0_us, side="right"))
        steps = np.diff(np.unique(times))
        tolerance = min([_LONGEST_TOLERANCE_US, *(steps // 2).tolist()])
        tolerance = max(tolerance, round(1e6 / video.fps) if video.fps else 0)  # the last frame before the keyframe
        return sorted({int(index) for index in nearest(video.t_us[:known], times, tolerance) if index >= 0})

    def _there(self, video: VideoReader, wanted: Sequence[Sequence[int]]) -> set[int]:
        names = set(files.list_names(self._folder, ".jpg"))
        camera = video.location.camera
        return {i for own in wanted for i in own if _file_name(camera, int(video.t_us[i])) in names}

    def _write_each(self, video: VideoReader, wanted: Sequence[Sequence[int]], there: set[int]) -> set[int]:
        lost = set()
        for index in sorted({index for own in wanted for index in own} - there):
            try:
                self._write(video, {index})
            except ClipError:
                lost.add(index)
        return lost

    def _write(self, video: VideoReader, indices: set[int]) -> None:
        writer = self._writer
        redact = None if writer.redactor is None else find_redactor(writer.redactor)
        for picture in video.pictures(sorted(indices), writer.images, redact):
            name = _file_name(video.location.camera, picture.t_us)
            files.write_atomic(files.join(self._folder, name), picture.jpeg)

    def _write_index(self, windows: Windows) -> None:
        files.write_atomic(files.join(self._folder, INDEX), json.dumps(self._source | {"windows": windows}))


def read_index(folder: str) -> dict[str, Any]:
    """Return what is known of a clip's pictures; nothing where nobody knows anything, or it is damaged."""
    try:
        known = json.loads(files.read_text(files.join(folder, INDEX)))
        windows = {t0: [(str(camera), int(t)) for camera, t in own] for t0, own in known["windows"].items()}
        return {"videos": known["videos"], "offsets_us": known["offsets_us"], "windows": windows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def prune(root: str, folder: str, clips: set[int]) -> None:
    """Delete pictures that no label shows: those of other clips, and those that a clip's index does not name.

    Args:
        root: the export's folder.
        folder: the pictures' folder in it.
        clips: ``stable_hash`` of the ids of the clips that have labels.
    """
    for clip_id in files.list_folders(files.join(root, folder)):
        path = files.join(root, folder, clip_id)
        if stable_hash(clip_id) not in clips:
            shutil.rmtree(path)
            continue
        named = {_file_name(*frame) for frames in read_index(path).get("windows", {}).values() for frame in frames}
        for name in set(files.list_names(path)) - named:
            files.remove(files.join(path, name))


def remove_pictures(root: str, folder: str) -> None:
    """Delete a folder of pictures, if it is one."""
    path = files.join(root, folder)
    if files.exists(files.join(path, SETTINGS)):
        shutil.rmtree(path)


def _file_name(camera: str, t_us: int) -> str:
    return f"{camera}_{t_us}.jpg"


def _stamps_of(video: VideoLocation) -> list[int]:
    """Return size and time of a video's files; without their paths, which say where somebody keeps them."""
    beside = [video.timestamps] if video.timestamps and not video.member else []
    stamps = [files.stamp_or_none(path) for path in (video.path, *beside)]
    return [number for stamp in stamps if stamp for number in (stamp.size, stamp.mtime_ns)]
