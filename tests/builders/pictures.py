"""A small dataset to draw pictures of, with one video, labelled."""

from pathlib import Path

import numpy as np

from builders.commands import autolabel
from builders.driving import Drive, drive
from builders.pai import FRONT, ego_parquet, obstacle_columns, parquet, write_chunk
from builders.runs import Inputs, only_run
from builders.videos import times_of, video_bytes, zip_videos
from coc_labeling.keyframe_auto_select import main as select_keyframes
from coc_labeling.pictures import PictureRequest, PictureResult, Shown, render_clips

FILMED, UNFILMED = "clip-filmed", "clip-unfilmed"
FPS, SECONDS, HEIGHT = 10, 9.0, 180


def stopping() -> Drive:
    """Drive on, and stop behind what stands there."""
    return drive(SECONDS, speed=lambda t: np.clip(8.0 - 2.5 * np.maximum(t - 3, 0), 0, 8))


class Place:
    """A small dataset in the pai layout, one of its two clips with a video, through Steps 1 to 3."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.out = root, root / "data", root / "vis"
        self.inputs = Inputs(root)

    def fill(self) -> "Place":
        """Write the dataset, and label it."""
        d = stopping()
        gap = d.x[-1] + 8.0 - d.x
        boxes = obstacle_columns(
            d.t_us, np.stack([gap, np.zeros(len(d)), np.full(len(d), 0.8)], axis=1), np.zeros(len(d)), track="41"
        )
        write_chunk(self.data, {clip_id: ego_parquet(d) for clip_id in (FILMED, UNFILMED)})
        write_chunk(self.data, {clip_id: parquet(boxes) for clip_id in (FILMED, UNFILMED)}, feature="obstacle.offline")
        self.film(FILMED)
        assert autolabel(self.data, self.root / "meta_actions", dataset="pai") == 0
        arguments = ["--meta_action_dir", self.inputs.meta_action_dir, "--output_dir", self.root / "keyframes"]
        assert select_keyframes([str(argument) for argument in arguments]) == 0
        settings = {"data__dataset_name": "pai", "data__data_dir": str(self.data)}
        assert self.inputs.label(self.root / "experiments", **settings) == 0
        return self

    @property
    def run_dir(self) -> Path:
        """The experiment folder."""
        return only_run(self.root / "experiments")

    def film(self, clip_id: str, content: bytes | None = None) -> None:
        """Write the chunk zip with the one video."""
        frames = round(SECONDS * FPS)
        content = video_bytes(frames, fps=FPS, gop=FPS, size=(96, 54)) if content is None else content
        members = {
            f"{clip_id}.{FRONT}.mp4": content,
            f"{clip_id}.{FRONT}.timestamps.parquet": parquet({"timestamp": times_of(frames, FPS)}),
        }
        zip_videos(self.data / "camera" / FRONT / f"{FRONT}.chunk_0000.zip", members)

    def shown(self, **changes) -> Shown:
        """Return what is to be shown: all clips, without labels."""
        usual = {"dataset": "pai", "data_dir": str(self.data), "meta_action_dir": str(self.root / "meta_actions")}
        return Shown(**usual | changes)

    def render(self, *, num_workers: int = 1, fps: float = 1.0, **changes) -> PictureResult:
        """Draw small pictures, one a second in this process."""
        request = PictureRequest(self.shown(**changes), str(self.out), None, num_workers, fps)
        return render_clips(request, HEIGHT)
