"""Where a clip's video is: in a folder of videos, in chunk zips, or in the dataset itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from driving_clips import files
from driving_clips.datasets.base import (
    Dataset,
    VideoLocation,
    find_sidecar,
    index_archives,
    is_legal_id,
    raise_again,
)
from driving_clips.errors import ClipError, DatasetError

DEFAULT_CAMERA = "camera_front_wide_120fov"
SHARDS_PER_FOLDER = 4  # letters of a clip id that name the folder above its own


@dataclass(frozen=True)
class VideoFinder:
    """Finds the video of a clip; small, so that it travels to worker processes. Each of them indexes zips once.

    Attributes:
        dataset: the dataset that the clips are of.
        video_dir: a folder of videos that comes before the dataset's own, or None.

    Example:
        >>> from driving_clips.datasets import open_dataset
        >>> VideoFinder(open_dataset("boreas", "demo_data/boreas"), None).find("a", "front") is None
        True
    """

    dataset: Dataset
    video_dir: str | None = None

    def __post_init__(self) -> None:
        if self.video_dir and not files.is_dir(self.video_dir):
            raise DatasetError(f"{self.video_dir}: no such folder. video_dir must name a folder of camera videos.")

    def find(self, clip_id: str, camera: str) -> VideoLocation | None:
        """Return where a camera's video of a clip is, or None where there is none.

        Raises:
            ClipFailedError: it is nowhere, and an archive that may hold it cannot be opened.
            DatasetError: a camera name that cannot be a file's.
        """
        if not is_legal_id(camera):
            raise DatasetError(f"camera {camera!r} cannot be a camera's name (letters, digits, '.', '_' and '-').")
        problems: list[ClipError] = []
        if self.video_dir:
            path = next((p for p in _candidates(self.video_dir, clip_id, camera) if files.is_file(p)), None)
            if path:
                return VideoLocation(camera, path, "", find_sidecar(path, files.is_file))
            videos, problems = _archived(self.video_dir, camera)
            if clip_id in videos:
                return videos[clip_id]
        found = self.dataset.find_video(clip_id, camera)
        if not found:
            raise_again(problems)
        return found


def _candidates(video_dir: str, clip_id: str, camera: str) -> Iterator[str]:
    """Yield the paths that a clip's video may have, in order of preference."""
    if camera == DEFAULT_CAMERA:
        yield files.join(video_dir, f"{clip_id}_fpv.mp4")
    yield files.join(video_dir, "camera", f"{clip_id}.{camera}.mp4")
    yield files.join(video_dir, f"{clip_id}.{camera}.mp4")
    for parts in ((clip_id,), (clip_id[:SHARDS_PER_FOLDER], clip_id)):
        folder = files.join(video_dir, *parts)
        if files.is_dir(folder):
            yield from (path for path in files.walk_files(folder, (".mp4",)) if path.endswith(f"/{camera}.mp4"))


@lru_cache(maxsize=32)
def _archived(video_dir: str, camera: str) -> tuple[dict[str, VideoLocation], list[ClipError]]:
    """Return a camera's videos in the zips of a folder, listed once in a process, and the zips' problems."""
    folders = [video_dir, files.join(video_dir, camera), files.join(video_dir, "camera", camera)]
    paths = [files.join(folder, name) for folder in folders for name in sorted(files.list_names(folder, ".zip"))]
    return index_archives(paths, camera)
