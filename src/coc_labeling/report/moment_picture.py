"""The picture of one keyframe: the camera's frame where there is video, else the scene from above."""

import base64
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from coc_labeling.report.clips import READING_FAULTS, ClipView, Keyframe
from coc_labeling.report.runs import Run
from coc_labeling.report.scene_figure import scene_figure
from coc_labeling.report.tables import dig
from driving_clips.datasets import open_dataset
from driving_clips.video.locating import DEFAULT_CAMERA, VideoFinder

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH_PX = 480
JPEG_QUALITY = 70
NO_FRAME = "no camera frame at this moment"


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, what it shows, and why it is no camera's; ``uri`` is None where there is none."""

    uri: str | None
    alt: str
    note: str = ""


class Camera:
    """The videos of a run: those that its labels were made from, as far as they can be found."""

    def __init__(self, run: Run) -> None:
        self._run = run
        configs = [summary.get("config") for summary in (run.labelling.summaries if run.labelling else ())]
        cameras = next((found for c in configs if (found := dig(c, "data_loader", "video", "cameras"))), None)
        names = [name for name in cameras if isinstance(name, str)] if isinstance(cameras, list) else []
        self.name = names[0] if names and DEFAULT_CAMERA not in names else DEFAULT_CAMERA
        folders = (dig(config, "data", "video_dir") for config in configs)
        self._video_dir = next((folder for folder in folders if isinstance(folder, str)), None)

    @cached_property
    def _finder(self) -> VideoFinder | str:
        """What finds videos, or why nothing does."""
        if not self._run.dataset_name or self._run.data_dir is None:
            return "the run does not say where its recordings lie"
        try:
            return VideoFinder(open_dataset(self._run.dataset_name, self._run.data_dir), self._video_dir)
        except READING_FAULTS as error:
            return str(error)

    def picture(self, view: ClipView, keyframe: Keyframe) -> Picture:
        """Return the picture of a keyframe."""
        frame, note = self._frame(view.clip_id, round(keyframe.t_sec * 1e6))
        if frame is not None:
            return Picture(_jpeg(frame), f"Camera {self.name} at the keyframe")
        return Picture(scene_figure(view, keyframe), "The scene from above at the keyframe", note)

    def _frame(self, clip_id: str, t_us: int) -> "tuple[Image | None, str]":
        """Return the camera's frame nearest to a moment, or why there is none."""
        # Here, for what draws pictures takes the report's clips and colours.
        from coc_labeling.pictures.camera import pictures_at
        from driving_clips.video.reading import VideoReader

        if isinstance(self._finder, str):
            return None, self._finder
        try:
            location = self._finder.find(clip_id, self.name)
            if location is None:
                return None, "no video"
            with VideoReader(location) as video:
                frame = next(iter(pictures_at(video, np.array([t_us], np.int64))))
        except READING_FAULTS as error:
            return None, str(error)
        return frame, "" if frame is not None else NO_FRAME


def _jpeg(picture: "Image") -> str:
    """Return a camera's picture, made small and without metadata, as a data URI."""
    width = min(WIDTH_PX, picture.width)
    small = picture.resize((width, max(1, round(picture.height * width / picture.width))), reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
