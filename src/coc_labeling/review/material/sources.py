"""Where the drives of a run lie, by its saved configuration."""

from dataclasses import dataclass
from typing import Any, Self

from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import CONFIG
from coc_labeling.review.material.errors import MaterialError
from coc_labeling.saved_config import saved_config
from coc_labeling.windows import Sampling
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import Dataset
from driving_clips.errors import DatasetError
from driving_clips.video.locating import DEFAULT_CAMERA, VideoFinder

_RELEASED_SAMPLING = Sampling(2.0, 6.0, 0.5)
_MOVED = "Start coc review with --data_dir where the drives are now."


@dataclass(frozen=True)
class Sources:
    """What a run was made from, as far as it is known and there.

    Attributes:
        dataset: its drives; None where they cannot be opened.
        finder: its videos; None where they cannot be found.
        camera: whose video is shown.
        sampling: the times of a window that a model was shown.
        redactor: name of the function that changes frames before they leave the machine, or None.
        ffmpeg_bin: the ffmpeg binary that encodes where it is found.
        meta_action_dir: results of Step 1, or None.
        problem: why drives or videos are missing, in words; empty where they are there.
    """

    dataset: Dataset | None = None
    finder: VideoFinder | None = None
    camera: str = DEFAULT_CAMERA
    sampling: Sampling = _RELEASED_SAMPLING
    redactor: str | None = None
    ffmpeg_bin: str | None = "ffmpeg"
    meta_action_dir: str | None = None
    problem: str = ""

    @classmethod
    def of_run(
        cls, run_dir: str, data_dir: str | None, video_dir: str | None, camera: str | None, dataset_name: str | None
    ) -> Self:
        """Return the sources of a run; what is given here replaces what its configuration says. Never raises."""
        changes = {"data.data_dir": data_dir, "data.video_dir": video_dir, "data.dataset_name": dataset_name}
        try:
            config = _config_of(run_dir, {key: value for key, value in changes.items() if value is not None})
        except CocLabelingError as error:
            return cls(camera=camera or DEFAULT_CAMERA, problem=str(error))
        dataset, finder, problem = _open(config)
        video = config.data_loader.video
        return cls(
            dataset,
            finder,
            camera or video.cameras[0],
            Sampling(video.hist_length_sec, video.fut_length_sec, video.time_interval),
            config.egress.redactor,
            video.segment_video_ffmpeg_bin or None,
            config.data.meta_action_dir,
            problem,
        )


def _config_of(run_dir: str, changes: dict[str, Any]) -> RunConfig:
    if files.exists(files.join(run_dir, CONFIG)):
        return saved_config(run_dir, changes)
    if "data.data_dir" not in changes:
        raise MaterialError(
            f"{run_dir}: it does not say which drives it labels (no {CONFIG}). Start coc review with --data_dir, and "
            "with --dataset_name where they are not of pai."
        )
    return load_config(PRESETS[1], [], settings=changes)


def _open(config: RunConfig) -> tuple[Dataset | None, VideoFinder | None, str]:
    """Return drives and videos, and what is wrong with them."""
    data = config.data
    if data.data_dir is None:
        return None, None, f"The run does not say where its drives lie. {_MOVED}"
    try:
        dataset = open_dataset(data.dataset_name, data.data_dir)
    except DatasetError as error:
        return None, None, f"{error} {_MOVED}"
    try:
        return dataset, VideoFinder(dataset, data.video_dir), ""
    except DatasetError as error:
        said = f"{error} Start coc review with --video_dir where the videos are now."
        return dataset, VideoFinder(dataset, None), said
