"""What of a clip goes into a recording for the Rerun viewer, and how the viewer lays it out."""

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.label_text import label_text
from coc_labeling.pictures.camera import frames_in_order
from coc_labeling.pictures.ink import clean
from coc_labeling.pictures.road_users import RoadUsers
from coc_labeling.pictures.scene_view import EDGES
from coc_labeling.pictures.story import LABEL_SEC, US, ClipStory, cited_by, words
from coc_labeling.report.ego_outline import EGO_LENGTH_M, EGO_REAR_M, EGO_WIDTH_M
from coc_labeling.report.palette import INK, LEAD, MUTED
from driving_clips import files
from driving_clips.datasets.base import VideoLocation
from driving_clips.geometry import quat_of_yaw
from driving_clips.video.encoding import encode_h264
from driving_clips.video.opening import open_bytes
from driving_clips.video.reading import VideoReader
from meta_action.names import AXES

APPLICATION, CLOCK = "coc_toolkit", "clip_time"
EGO_HEIGHT_M = 1.5
TICKS_PER_SEC = 10.0
_MP4 = b"ftyp"  # at byte 4 of every mp4 file, ISO/IEC 14496-12


def rerun_sdk() -> Any:
    """Return the module ``rerun``; raises CocLabelingError where it, or what it needs itself, is not installed."""
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        raise CocLabelingError(f"export-rerun needs rerun-sdk: pip install 'coc-toolkit[rerun]' ({error})") from error


@contextmanager
def opened(story: ClipStory, path: str, cameras: list[str]) -> Iterator[Any]:
    """Yield a recording that is written to a file, with how the viewer lays it out."""
    recording = rerun_sdk().RecordingStream(APPLICATION, recording_id=story.clip_id)
    try:
        recording.save(path, default_blueprint=_blueprint(cameras))
        recording.send_recording_name(story.clip_id)
        yield recording
        recording.flush()
    finally:
        recording.disconnect()


def _blueprint(cameras: list[str]) -> Any:
    """Return the viewer's layout: pictures and scene to the left, curves and texts to the right."""
    rrb = importlib.import_module("rerun.blueprint")
    pictures = [rrb.Spatial2DView(origin=f"camera/{camera}", name=words(camera)) for camera in cameras]
    curves = [rrb.TimeSeriesView(origin=name, name=name) for name in ("speed", "heading")]
    texts = [
        rrb.TextLogView(origin="labels", name="labels"),
        rrb.TextLogView(origin="meta_actions", name="meta-actions"),
    ]
    scene = rrb.Spatial3DView(origin="world", name="scene")
    page = rrb.TextDocumentView(origin="label", name="label")
    return rrb.Blueprint(rrb.Horizontal(rrb.Vertical(*pictures, scene), rrb.Vertical(page, *curves, *texts)))


class ClipLog:
    """Logs one clip into a recording, at times on the clip clock."""

    def __init__(self, rr: Any, recording: Any, story: ClipStory) -> None:
        self._rr, self._recording, self._story = rr, recording, story

    def log_ego(self) -> None:
        """Log the path, ego's pose, box, speed and heading at every tick; the frame is the clip's own, z up."""
        rr, recording, ego = self._rr, self._recording, self._story.ego
        recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        recording.log("world/path", rr.LineStrips3D([ego.xyz], colors=_rgba(MUTED), radii=0.1), static=True)
        half = [EGO_LENGTH_M / 2, EGO_WIDTH_M / 2, EGO_HEIGHT_M / 2]
        centre = [EGO_LENGTH_M / 2 - EGO_REAR_M, 0.0, EGO_HEIGHT_M / 2]
        box = rr.Boxes3D(half_sizes=[half], centers=[centre], colors=_rgba(INK), labels=["ego"])
        recording.log("world/ego/box", box, static=True)
        turned = np.degrees(np.unwrap(ego.heading))
        names = {"speed": "speed (m/s)", "heading": "heading, left of the start (deg)"}
        for entity, name in names.items():
            recording.log(entity, rr.SeriesLines(names=[name]), static=True)
        rows = zip(ego.t_sec, ego.xyz, ego.quat, ego.longitudinal_speed, turned - turned[0], strict=True)
        for t_sec, xyz, quat, speed, heading in rows:
            self._at(float(t_sec))
            recording.log("world/ego", rr.Transform3D(translation=xyz, quaternion=rr.Quaternion(xyzw=quat)))
            recording.log("speed", rr.Scalars(speed))
            recording.log("heading", rr.Scalars(heading))

    def log_road_users(self) -> None:
        """Log boxes, and points where size or heading is unknown, at every tick; what the label cites is pointed at."""
        story, recording, rr = self._story, self._recording, self._rr
        if story.obstacles is None:
            return
        t_us = story.times_us(TICKS_PER_SEC)
        users = RoadUsers.of(story.obstacles, t_us)
        is_box = np.isfinite(users.size).all(axis=1, keepdims=True) & np.isfinite(users.yaw)
        for frame, now_us in enumerate(t_us.tolist()):
            self._at(now_us / US)
            boxes, points = (np.flatnonzero(users.seen[:, frame] & kind[:, frame]) for kind in (is_box, ~is_box))
            size, place = users.size[boxes], users.xyz[boxes, frame]
            turn, look = quat_of_yaw(users.yaw[boxes, frame]), _look(users, boxes)
            recording.log("world/road_users", rr.Boxes3D(sizes=size, centers=place, quaternions=turn, **look))
            look = _look(users, points)
            recording.log("world/detections", rr.Points3D(users.xyz[points, frame], radii=0.4, **look))
            cited = cited_by(story.label_at(now_us))
            own = [row for row, name in enumerate(users.track_ids) if name in cited and users.seen[row, frame]]
            texts = [clean(cited[users.track_ids[row]]) for row in own]
            pointer = rr.Points3D(users.xyz[own, frame], radii=0.6, colors=_rgba(LEAD), labels=texts)
            recording.log("world/cited", pointer)

    def log_texts(self) -> None:
        """Log meta-actions where they start, labels at their keyframes, and the current label as a page."""
        for span in self._story.timeline.spans:
            if span.axis not in AXES:
                continue
            start, end = span.start / TICKS_PER_SEC, span.end / TICKS_PER_SEC
            self._say(f"meta_actions/{span.axis}", start, f"{clean(words(span.name))}, to {end:.1f} s")
        for keyframe in self._story.keyframes or ():
            text = label_text(keyframe)
            self._say("labels", keyframe.t_sec, text)
            self._recording.log("label", self._rr.TextDocument(text))
            self._at(keyframe.t_sec + LABEL_SEC)
            if self._story.label_at(round((keyframe.t_sec + LABEL_SEC) * US)) is None:
                self._recording.log("label", self._rr.TextDocument("no label here"))

    def log_video(self, location: VideoLocation, notices: list[str]) -> None:
        """Log a camera's video with the clip's time of each frame; what the viewer cannot play is encoded anew."""
        rr, recording, entity = self._rr, self._recording, f"camera/{location.camera}"
        with VideoReader(location) as video:
            notices += video.notices
            asset, times = self._as_it_is(location, video) or self._encoded(video)
            recording.log(entity, asset, static=True)
            for now_us, in_video_ns in zip(video.t_us.tolist(), times.tolist(), strict=True):
                self._at(now_us / US)
                recording.log(entity, rr.VideoFrameReference(nanoseconds=in_video_ns))

    def _as_it_is(self, location: VideoLocation, video: VideoReader) -> tuple[Any, NDArray[np.int64]] | None:
        """Return a video and its own times in ns; None where it is no mp4, or the viewer counts other frames."""
        with closing(open_bytes(location)) as source:
            content = source.read()
        if content[4:8] != _MP4:
            return None
        asset = self._rr.AssetVideo(contents=content, media_type="video/mp4")
        try:
            times: NDArray[np.int64] = asset.read_frame_timestamps_nanos()
        except RuntimeError:  # a codec that the viewer does not know
            return None
        return (asset, times) if len(times) == len(video.t_us) else None

    def _encoded(self, video: VideoReader) -> tuple[Any, NDArray[np.int64]]:
        """Return a video encoded anew, and its times in ns."""
        since_us = video.t_us - video.t_us[0]
        frames = frames_in_order(video, np.arange(len(since_us)))
        with tempfile.TemporaryDirectory() as folder:
            path = files.join(folder, "video.mp4")
            encode_h264(((int(since_us[index]), frame) for index, frame in frames), path, video.fps or 1.0)
            content = files.read_bytes(path)
        return self._rr.AssetVideo(contents=content, media_type="video/mp4"), since_us * 1000

    def _say(self, entity: str, t_sec: float, text: str) -> None:
        self._at(t_sec)
        self._recording.log(entity, self._rr.TextLog(text, level="INFO"))

    def _at(self, t_sec: float) -> None:
        self._recording.set_time(CLOCK, duration=t_sec)


def _rgba(colour: str) -> int:
    return int(colour[1:] + "ff", 16)


def _look(users: RoadUsers, rows: NDArray[np.intp]) -> dict[str, Any]:
    """Return colours by kind, and track ids that the viewer shows of what is selected."""
    colours = np.array([_rgba(EDGES[users.kinds[row]]) for row in rows], np.uint32)
    return {"colors": colours, "labels": [users.track_ids[row] for row in rows], "show_labels": False}
