"""Recordings for the Rerun viewer: one ``.rrd`` per clip with path, road users, video, curves, actions and labels."""

from dataclasses import asdict, dataclass

from batch_runs.outcomes import write_summary
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.rerun_log import ClipLog, opened, rerun_sdk
from coc_labeling.pictures.plan import Plan, Shown
from coc_labeling.pictures.run import LOCK, PictureResult
from coc_labeling.pictures.story import ClipStory
from coc_labeling.pictures.story_files import StoryFiles
from coc_labeling.results import SUMMARY
from coc_labeling.saved_config import saved_config
from driving_clips import files
from driving_clips.trajectories import TrajectoryLoader
from driving_clips.video.locating import VideoFinder

COMMAND = "coc export-rerun"
WITH_VIDEO, WITHOUT_VIDEO = "with_video", "without_video"


@dataclass(frozen=True)
class RerunRequest:
    """What is to be exported.

    Attributes:
        run_dir: an experiment folder of Step 3.
        out: where ``<clip_id>.rrd`` go.
        data_dir: where the dataset is now, None where it has not moved.
        video_dir: where the videos are now, None where they have not moved.
        clip_list_path: a text file of clip ids, or None for all clips with meta-actions.
        num_workers: the most processes to use.
    """

    run_dir: str
    out: str
    data_dir: str | None = None
    video_dir: str | None = None
    clip_list_path: str | None = None
    num_workers: int = 8


def export_rerun(request: RerunRequest) -> PictureResult:
    """Write a recording of each clip of an experiment; running it again goes on where it stopped.

    Raises:
        DatasetError, MetaActionError, CocLabelingError: nothing can be done as asked.
        OSError: the disk is full.
    """
    rerun_sdk()
    if request.num_workers < 1:
        raise CocLabelingError(f"--num_workers {request.num_workers}: expected at least 1.")
    changes = {"data.data_dir": request.data_dir, "data.video_dir": request.video_dir}
    config = saved_config(request.run_dir, {key: value for key, value in changes.items() if value is not None})
    data = config.data
    if not data.data_dir or not data.meta_action_dir:
        raise CocLabelingError(
            f"{request.run_dir}: expected data.data_dir and data.meta_action_dir in its configuration."
        )
    shown = Shown(data.dataset_name, data.data_dir, data.meta_action_dir, request.run_dir, request.clip_list_path)
    plan = Plan.of(shown)
    files.make_dir(request.out)
    with files.exclusive(files.join(request.out, LOCK)):
        files.remove_leftovers(request.out)
        loader, finder = TrajectoryLoader(plan.dataset, data.cache_dir), VideoFinder(plan.dataset, data.video_dir)
        work = RerunFiles(loader, shown, request.out, finder, tuple(config.data_loader.video.cameras))
        tally, notices = plan.carry_out(work, request.num_workers, "recordings")
        summary = files.join(request.out, SUMMARY)
        write_summary(summary, COMMAND, asdict(request), tally, unit="clips", notices=notices)
    return PictureResult(tally, notices, summary)


@dataclass(frozen=True)
class RerunFiles(StoryFiles):
    """Writes ``<folder>/<clip_id>.rrd``.

    Attributes:
        finder: knows where videos lie.
        cameras: whose videos are shown.
    """

    ending = ".rrd"

    finder: VideoFinder
    cameras: tuple[str, ...]

    def write(self, story: ClipStory, path: str, notices: list[str]) -> str:
        """Write a clip's recording; returns whether there is video in it."""
        places = [self.finder.find(story.clip_id, camera) for camera in self.cameras]
        videos = [place for place in places if place is not None]
        with opened(story, path, [video.camera for video in videos]) as recording:
            clip = ClipLog(rerun_sdk(), recording, story)
            clip.log_ego()
            clip.log_road_users()
            clip.log_texts()
            for video in videos:
                clip.log_video(video, notices)
        return WITH_VIDEO if videos else WITHOUT_VIDEO
