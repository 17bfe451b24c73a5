"""Everything that is shown of the windows of one run."""

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

import numpy as np

from coc_labeling.report.clips import READING_FAULTS
from coc_labeling.review.batches.queue import RELEASED_EXTENT
from coc_labeling.review.material import scene as scenes
from coc_labeling.review.material.errors import MaterialError
from coc_labeling.review.material.meta_actions import MetaActions
from coc_labeling.review.material.motion import Drives
from coc_labeling.review.material.parts import Part
from coc_labeling.review.material.remembering import Remembered
from coc_labeling.review.material.sources import Sources
from coc_labeling.review.material.video_cache import VideoCache, default_folder
from coc_labeling.review.material.videos import ClipVideo, Videos
from coc_labeling.review.phases import Extent
from driving_clips import files
from driving_clips.ego_motion import EgoMotion, EgoSamples, resample
from driving_clips.errors import ClipRejectedError

log = logging.getLogger(__name__)

CLIPS = 64  # scenes, videos' times and frames in memory: each of a few MB at most
WARM_WORKERS, WARM_AHEAD = 1, 16  # threads that make things before they are asked for; how much may wait for them
WARM_NICENESS = 10


def _step_back() -> None:
    """Let who waits for a page go first: Linux has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WARM_NICENESS)


class Material:
    """What a reviewer is shown of a window. All of it may be asked for by several threads.

    ``future=False`` gives what was known at the keyframe and nothing else, ``future=True`` all of the window.

    Example:
        >>> material = Material.of_run("experiments/20260101_120000_run")  # doctest: +SKIP
        >>> material.scene("clip_0", 5_400_000, future=False)["end"]  # doctest: +SKIP
        5.4
    """

    def __init__(self, sources: Sources, cache: VideoCache, extent: Extent = RELEASED_EXTENT) -> None:
        self._sources, self._cache, self._extent = sources, cache, extent
        self._drives = Drives(sources.dataset) if sources.dataset else None
        self._meta_actions = MetaActions(sources.meta_action_dir)
        self._videos = Videos(sources)
        offsets_us = np.array(sources.sampling.offsets_us, dtype=np.int64)
        # A run may sample more than the window that decides who may still judge which history.
        self._offsets_us = offsets_us[(offsets_us >= -extent.history_us) & (offsets_us <= extent.future_us)]
        self._scenes: Remembered[tuple[str, Part], dict[str, Any]] = Remembered(CLIPS)
        self._opened: Remembered[str, ClipVideo] = Remembered(CLIPS)
        self._frames: Remembered[tuple[str, Part], dict[int, bytes]] = Remembered(CLIPS)
        self._warmer = ThreadPoolExecutor(WARM_WORKERS, "material", _step_back)
        self._warming: set[tuple[str, Part]] = set()
        self._warming_lock = threading.Lock()

    @classmethod
    def of_run(
        cls,
        run_dir: str,
        *,
        data_dir: str | None = None,
        video_dir: str | None = None,
        camera: str | None = None,
        dataset_name: str | None = None,
        cache_dir: str | None = None,
        extent: Extent = RELEASED_EXTENT,
    ) -> Self:
        """Return the material of a run; drives that are missing are told by each scene.

        Args:
            run_dir: an experiment folder, or a folder of record files.
            data_dir: where the dataset is, instead of what the run's configuration says.
            video_dir: the same of a folder of videos.
            camera: whose video is shown, instead of the first one that the model was shown.
            dataset_name: the same of the dataset's name; pai where nothing says it.
            cache_dir: where encoded videos are kept; the user's cache folder where None.
            extent: how far windows reach.

        Raises:
            MaterialError: there is no folder to keep videos in.
        """
        name = hashlib.sha256(files.absolute(run_dir).encode()).hexdigest()[:16]
        folder = files.join(cache_dir or default_folder(), name)
        sources = Sources.of_run(run_dir, data_dir, video_dir, camera, dataset_name)
        return cls(sources, VideoCache(folder), extent)

    def close(self) -> None:
        """Stop making things in the background; what is being made is finished."""
        self._warmer.shutdown(wait=True, cancel_futures=True)

    def scene(self, clip_id: str, t_us: int, *, future: bool) -> dict[str, Any]:
        """Return what is shown of a window as JSON-able values; what cannot be read is told in ``problems``.

        Times are seconds on the clip clock; places are m in ego's frame at the keyframe, x forward, y left; angles are
        rad, left positive. See ``coc_labeling.review.material.scene`` for the lists.

        Returns:
            ``clip_id``; ``t0``; ``start`` and ``end`` of what is shown; ``video`` (``url`` or None, ``start``: the time
            of its first frame, ``camera``, ``problem`` or None); ``frames`` (``number``, ``t``, ``url``) of the
            sampled times; ``curves``; ``spans``, none in a history; ``path``; ``road_users``; ``ego`` (``length``,
            ``width``, ``rear``: how much of it is behind its reference point, m); ``problems``.
        """
        part = self._part(t_us, future)
        key = clip_id, part
        moving = self._scenes.get(key, lambda: self._moving(clip_id, part))
        if moving["problems"]:
            self._scenes.forget(key)  # they may be mended
        problems = list(moving["problems"])
        if self._sources.problem and self._sources.problem not in " ".join(problems):
            problems.append(self._sources.problem)
        video, frames = self._footage(clip_id, part, problems)
        return {
            "clip_id": clip_id,
            "t0": t_us / 1e6,
            "start": part.first_us / 1e6,
            "end": part.last_us / 1e6,
            "video": video,
            "frames": frames,
            **moving,
            "problems": problems,
        }

    def video(self, clip_id: str, t_us: int, *, future: bool) -> str:
        """Return the path of an mp4 (H.264) of the window or its history; the first time takes seconds.

        Raises:
            MaterialError: there is none; the message says why.
        """
        part = self._part(t_us, future)
        clip = self._opened_video(clip_id)
        clip.indices(part)
        where = clip.location
        stamps = [files.stamp_or_none(path) for path in (where.path, where.timestamps or "") if path]
        shown = [str(where), where.timestamps, where.clock_zero_us, where.start_us, [str(stamp) for stamp in stamps]]
        shown += [clip_id, part.t0_us, part.first_us, part.last_us, self._videos.settings()]
        return self._cache.get(shown, lambda path: self._videos.encode(clip, part, path))

    def shows_future(self, number: int) -> bool:
        """Say whether a sampled time, by its number, lies after the keyframe."""
        return number >= int(np.searchsorted(self._offsets_us, 0, side="right"))

    def frame(self, clip_id: str, t_us: int, number: int) -> bytes:
        """Return the JPEG of a sampled time by its number; times up to the keyframe show nothing from after it.

        Raises:
            MaterialError: there is no such frame.
        """
        part = self._part(t_us, self.shows_future(number))
        found = self._frames.get((clip_id, part), lambda: self._pictures(clip_id, part)).get(number)
        if found is None:
            raise MaterialError(f"The video of clip {clip_id} has no frame of the sampled time {number}.")
        return found

    def warm(self, clip_id: str, t_us: int, *, future: bool) -> None:
        """Make all that is shown of a window in the background; does nothing where enough is waiting already."""
        key = clip_id, self._part(t_us, future)
        with self._warming_lock:
            if key in self._warming or len(self._warming) >= WARM_AHEAD:
                return
            self._warming.add(key)
        try:
            self._warmer.submit(self._warm, *key)
        except RuntimeError:  # it has been closed
            return

    def _warm(self, clip_id: str, part: Part) -> None:
        t_us, future = part.t0_us, part.future
        last = len(self._offsets_us) - 1
        ways: list[Callable[[], object]] = [
            lambda: self.scene(clip_id, t_us, future=future),
            lambda: self.frame(clip_id, t_us, last if future else 0),
            lambda: self.video(clip_id, t_us, future=future),
        ]
        try:
            for make in ways:
                try:
                    make()
                except MaterialError:  # it is told when it is asked for
                    continue
        except Exception:
            log.exception("%s at %.1f s: preparing what is shown failed", clip_id, t_us / 1e6)
        finally:
            with self._warming_lock:
                self._warming.discard((clip_id, part))

    def _part(self, t_us: int, future: bool) -> Part:
        return Part.of(t_us, self._extent, future=future)

    def _opened_video(self, clip_id: str) -> ClipVideo:
        return self._opened.get(clip_id, lambda: self._videos.open(clip_id))

    def _pictures(self, clip_id: str, part: Part) -> dict[int, bytes]:
        """Return the pictures of a part by number; those of a whole window are the ones after the keyframe alone."""
        clip = self._opened_video(clip_id)
        wanted = {n: i for n, i in self._sampled(clip, part).items() if self.shows_future(n) == part.future}
        pictures = self._videos.pictures(clip, set(wanted.values()))
        return {number: pictures[index] for number, index in wanted.items()}

    def _sampled(self, clip: ClipVideo, part: Part) -> dict[int, int]:
        return clip.sampled(part, self._offsets_us, round(self._sources.sampling.interval_sec * 5e5))

    def _footage(self, clip_id: str, part: Part, problems: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return what a scene says of video and frames; more is added to its problems."""
        shown = {"url": None, "start": part.first_us / 1e6, "camera": self._sources.camera, "problem": None}
        try:
            clip = self._opened_video(clip_id)
            first_us = int(clip.t_us[clip.indices(part)[0]])
            sampled = self._sampled(clip, part)
        except MaterialError as error:
            return {**shown, "problem": str(error)}, []
        if part.future:  # they are of the video as a whole
            problems += clip.notices
        url = "window.mp4" if part.future else "history.mp4"
        frames = [
            {"number": number, "t": round(int(clip.t_us[index]) / 1e6, 3), "url": f"frames/{number}.jpg"}
            for number, index in sampled.items()
            if clip.times_hold or self.shows_future(number)
        ]
        return {**shown, "url": url, "start": first_us / 1e6}, frames

    def _moving(self, clip_id: str, part: Part) -> dict[str, Any]:
        """Return what a scene says of all that moves; a label can be judged without, so it never fails."""
        shown: dict[str, Any] = {
            "curves": scenes.NO_CURVES,
            "spans": [],
            "path": scenes.NO_PATH,
            "road_users": [],
            "ego": scenes.EGO,
            "problems": [],
        }
        try:
            return self._as_recorded(clip_id, part, shown)
        except READING_FAULTS as error:  # motion or tracks that nobody has thought of
            log.exception("%s at %.1f s: the scene cannot be made", clip_id, part.t0_us / 1e6)
            said = f"No motion to show: making the scene failed ({type(error).__name__}). The server's log says more."
            return {**shown, "problems": [said]}

    def _as_recorded(self, clip_id: str, part: Part, shown: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._drives is None:
                raise MaterialError(self._sources.problem)
            samples = self._drives.samples(clip_id)
            origin = scenes.Origin.of(samples, part.t0_us)
            ego = _on_ticks(samples, part)
        except (MaterialError, ClipRejectedError) as error:
            return {**shown, "problems": [f"No motion to show: {error}"]}
        shown |= {"curves": scenes.curves(ego, part), "path": scenes.path(ego, origin, part)}
        if part.future:
            timeline, note = self._meta_actions.of_clip(clip_id, ego)
            shown |= {"spans": scenes.spans(timeline, part), "problems": [note] if note else []}
        try:
            tracks = self._drives.tracks(clip_id, None if part.future else part.t0_us)
            return shown | {"road_users": scenes.road_users(tracks, origin, part) if tracks is not None else []}
        except MaterialError as error:
            return shown | {"problems": [*shown["problems"], f"No road users to show: {error}"]}


def _on_ticks(samples: EgoSamples, part: Part) -> EgoMotion:
    """Return ego motion on the ticks, in a history those made of what was known at the keyframe."""
    return resample(samples if part.future else samples.until(part.t0_us))
