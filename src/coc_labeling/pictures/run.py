"""Pictures of many clips: a video each, in one folder."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from batch_runs.outcomes import Tally, write_summary
from coc_labeling.errors import CocLabelingError
from coc_labeling.pictures.clip_videos import ClipVideos
from coc_labeling.pictures.ink import pillow
from coc_labeling.pictures.plan import Plan, Shown
from coc_labeling.results import SUMMARY
from driving_clips import files
from driving_clips.trajectories import TrajectoryLoader
from driving_clips.video.locating import VideoFinder
from driving_clips.video.opening import pyav

COMMAND = "vis_video_pai.py"
CONFIG, LOCK = "run_config.json", ".lock"
MAX_FPS = 60.0
_ROOTS = ("data_dir", "meta_action_dir", "labels")


@dataclass(frozen=True)
class PictureRequest:
    """What is to be drawn.

    Attributes:
        shown: the clips, and what of them.
        vis_dir: where ``<clip_id>.mp4`` go.
        cache_dir: where resampled trajectories are kept, or None.
        num_workers: the most processes to use.
        fps: pictures a second.
    """

    shown: Shown
    vis_dir: str
    cache_dir: str | None = None
    num_workers: int = 8
    fps: float = 10.0


@dataclass(frozen=True)
class PictureResult:
    """What came of it: counts, things to know, and where the summary lies."""

    tally: Tally
    notices: list[str] = field(default_factory=list)
    summary_path: str = ""


def render_clips(request: PictureRequest, height: int = 720) -> PictureResult:
    """Write a video of each clip, ``height`` pixels high; running it again goes on where it stopped.

    Raises:
        DatasetError, MetaActionError, CocLabelingError: nothing can be done as asked.
        OSError: the disk is full.
    """
    _check(request)
    plan = Plan.of(request.shown)
    files.make_dir(request.vis_dir)
    with files.exclusive(files.join(request.vis_dir, LOCK)):
        _remember(request)
        files.remove_leftovers(request.vis_dir)
        videos = ClipVideos(
            TrajectoryLoader(plan.dataset, request.cache_dir),
            request.shown,
            request.vis_dir,
            VideoFinder(plan.dataset),
            request.fps,
            height,
        )
        tally, notices = plan.carry_out(videos, request.num_workers, "pictures")
        summary = files.join(request.vis_dir, SUMMARY)
        write_summary(summary, COMMAND, asdict(request), tally, unit="clips", notices=notices)
    return PictureResult(tally, notices, summary)


def _check(request: PictureRequest) -> None:
    """Raise what can be said before anything is read."""
    if request.num_workers < 1:
        raise CocLabelingError(f"--num_workers {request.num_workers}: expected at least 1.")
    if not 0 < request.fps <= MAX_FPS:
        raise CocLabelingError(f"--fps {request.fps:g}: expected pictures a second, above 0 and up to {MAX_FPS:g}.")
    pillow()
    pyav()


def _remember(request: PictureRequest) -> None:
    """Keep what the videos of this folder show; raises CocLabelingError where they show something else."""
    path = files.join(request.vis_dir, CONFIG)
    own: dict[str, Any] = asdict(request.shown) | {"fps": request.fps}
    del own["clip_list_path"]  # other clips may be added
    own |= {key: files.absolute(own[key]) for key in _ROOTS if own[key] is not None}
    if not files.exists(path):
        files.write_atomic(path, json.dumps(own, indent=2) + "\n")
        return
    try:
        earlier = dict(json.loads(files.read_text(path)))
    except (ValueError, TypeError) as error:
        raise CocLabelingError(f"{path}: expected what is shown in this folder ({error}). Delete the file.") from error
    other = [
        f"{key} was {earlier.get(key)!r} and is {value!r}" for key, value in own.items() if earlier.get(key) != value
    ]
    if other:
        raise CocLabelingError(
            f"{request.vis_dir}: holds videos of something else: {'; '.join(other)}. Choose another --vis_dir."
        )
