"""Windows as videos to look at: ``data_loader.video.save_segment_videos``."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from coc_labeling.config.schema import RunConfig, VideoConfig
from coc_labeling.conversation import Shot
from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.ego_motion import TICK_US
from driving_clips.errors import ClipError
from driving_clips.video.pictures import Redact
from driving_clips.video.reading import VideoReader
from driving_clips.video.segments import SegmentSettings, write_segment_video

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentVideos:
    """Writes ``<folder>/<clip_id>/<clip_id>_<event_start_timestamp>.mp4`` of windows; of the first camera only."""

    folder: str
    settings: VideoConfig

    @classmethod
    def of(cls, config: RunConfig) -> "SegmentVideos":
        """Return the writer that a configuration asks for; raises CocLabelingError where it says no folder."""
        video = config.data_loader.video
        folder = video.segment_video_output_dir
        if folder is None:
            if config.data.video_dir is None:
                raise CocLabelingError(
                    "data_loader.video.segment_video_output_dir: required by save_segment_videos=true where "
                    "data.video_dir is not set."
                )
            folder = files.join(config.data.video_dir, "segment_videos")
        return cls(files.absolute(folder), video)

    def write(
        self, video: VideoReader, clip_id: str, t0_us: int, shots: Sequence[Shot], redact: Redact | None = None
    ) -> str | None:
        """Write one window's video; returns what went wrong, if something did: a label is not lost for it.

        ``redact`` changes every frame of it, as of what a model is shown: these videos are made to be shared.
        """
        settings = self.settings
        if video.location.camera != settings.cameras[0]:
            return None
        path = files.join(self.folder, clip_id, f"{clip_id}_{t0_us}.mp4")
        metadata = {
            "clip_id": clip_id,
            "event_start_timestamp": t0_us,
            "event_start_frame": t0_us // TICK_US,
        }
        try:
            write_segment_video(
                video,
                t0_us - round(settings.hist_length_sec * 1e6),
                t0_us + round(settings.fut_length_sec * 1e6),
                [(shot.file, shot.index, shot.t_us) for shot in shots],
                path,
                self._how(),
                metadata=metadata if settings.save_segment_video_metadata else None,
                redact=redact,
            )
        except (ClipError, OSError) as error:
            log.warning("%s: the segment video was not written (%s)", path, error)
            return f"The segment video was not written: {error}"
        return None

    def _how(self) -> SegmentSettings:
        settings = self.settings
        return SegmentSettings(
            source_fps=settings.save_segment_videos_source_fps,
            web_compatible=settings.segment_video_web_compatible,
            ffmpeg_bin=settings.segment_video_ffmpeg_bin,
            skip_existing=settings.segment_video_skip_existing,
            sampled_interval_sec=settings.time_interval,
        )
