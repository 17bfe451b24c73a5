"""The moments of one source group, looked at in a worker process."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from batch_runs.outcomes import DONE
from coc_labeling.curate.rules import Thresholds
from coc_labeling.curate.scenes import ClipView, MomentView
from coc_labeling.keyframes import Keyframe
from coc_labeling.work import GroupTask
from driving_clips.errors import ClipError, ClipFailedError
from driving_clips.trajectories import LoadedClip, TrajectoryLoader

SEEN, NO_EGO_MOTION = "looked_at", "no_ego_motion"

Outcome = tuple[str, str, str, str]  # outcome, reason, clip, message

SEEN_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("event_start_frame", pa.int32()),
        ("scene", pa.string()),
        ("rare", pa.list_(pa.string())),
        ("road_users", pa.int32()),
        ("masks", pa.list_(pa.string())),
        ("unreadable", pa.string()),
    ]
)


@dataclass(frozen=True)
class SeenMoments:
    """A row per moment (SEEN_SCHEMA), and how each clip was counted."""

    rows: pa.RecordBatch
    outcomes: list[Outcome]


@dataclass
class Seen:
    """Collects what comes of a task."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def looked_at(self, clip_id: str, moments: Sequence[Keyframe], views: Sequence[MomentView | None]) -> None:
        """Add the moments of a clip, each with what it shows; None where ego motion does not cover it."""
        for moment, view in zip(moments, views, strict=True):
            self._add(moment, **({"unreadable": NO_EGO_MOTION} if view is None else asdict(view)))
        self.outcomes.append((DONE, SEEN, clip_id, ""))

    def lost(self, moments: Sequence[Keyframe], error: ClipError) -> None:
        """Add the moments of clips that cannot be looked at."""
        for moment in moments:
            self._add(moment, unreadable=error.reason)
        clips = dict.fromkeys(moment.clip_id for moment in moments)
        self.outcomes += [(error.outcome, error.reason, clip_id, str(error)) for clip_id in clips]

    def _add(self, moment: Keyframe, **found: Any) -> None:
        self.rows.append(
            {"clip_id": moment.clip_id, "event_start_frame": moment.frame, "masks": (), "rare": ()} | found
        )

    def whole(self) -> SeenMoments:
        """Return all that was added."""
        return SeenMoments(pa.RecordBatch.from_pylist(self.rows, SEEN_SCHEMA), self.outcomes)


@dataclass(frozen=True)
class GroupViewer:
    """Looks at the moments of one source group; travels to worker processes."""

    loader: TrajectoryLoader
    limits: Thresholds

    def __call__(self, task: GroupTask) -> SeenMoments:
        """Read and look; whatever goes wrong costs the moments of a clip."""
        seen = Seen()
        for loaded in self.loader.load(task.group, lambda clip_id: clip_id in task.keyframes):
            moments = task.keyframes_of(loaded)
            try:
                views = self._views(loaded, moments)
            except ClipError as error:
                seen.lost(moments, error)
            else:
                seen.looked_at(loaded.clip_id, moments, views)
        return seen.whole()

    def _views(self, loaded: LoadedClip, moments: Sequence[Keyframe]) -> list[MomentView | None]:
        """Return what each moment shows, None where ego motion does not cover it; raises ClipError."""
        if isinstance(loaded.result, ClipError):
            raise loaded.result
        clip = ClipView(loaded.result, self.loader.obstacles(loaded), self.limits)
        try:
            return [clip.at(own.frame, own.actions) if clip.covers(own.frame) else None for own in moments]
        except Exception as error:  # whatever tracks make it stumble over costs this clip only
            raise ClipFailedError("crashed", f"{loaded.clip_id}: {type(error).__name__}: {error}") from error


def died(task: GroupTask) -> SeenMoments:
    """Return what stands for a task that killed its process."""
    seen = Seen()
    error = "the process reading it died (out of memory, or a crash in a library)."
    seen.lost(task.all_keyframes, ClipFailedError("worker_died", error))
    return seen.whole()
