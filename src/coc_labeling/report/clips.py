"""The sampled clips, loaded whole: motion, obstacles, meta-actions, and the records with their labels."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from coc_labeling.errors import RecordError
from coc_labeling.report.label_risk import LabelRisk, read_risk
from coc_labeling.report.runs import MetaActionRun, Run
from coc_labeling.report.sample import Candidate, clip_ids_by_run
from coc_labeling.report.tables import read_clips
from coc_labeling.results import ABSTENTION, LABELS_SCHEMA, ExperimentFolder, read_valid
from coc_labeling.schema import UNOBSERVED, Component, EmergedAfter, Record
from coc_labeling.up_to_date import current_row
from driving_clips.datasets import open_dataset
from driving_clips.datasets.base import recording_of
from driving_clips.ego_motion import EgoMotion
from driving_clips.errors import ClipError, DatasetError
from driving_clips.obstacles import ObstacleTracks
from driving_clips.trajectories import LoadedClip, TrajectoryLoader, find_groups
from meta_action.timeline import Timeline
from meta_action.timeline_table import SPANS_SCHEMA, timelines

# What a file that is not what it should be can make a reader raise; one clip less, never no report.
READING_FAULTS = (
    ClipError,
    DatasetError,
    ArithmeticError,
    ValueError,
    LookupError,
    TypeError,
    OSError,
    RuntimeError,
    EOFError,
)

_CHANNELS = ("longitudinal", "lateral")


@dataclass(frozen=True)
class Keyframe:
    """One labelled moment of a clip.

    Attributes:
        number: counts the clip's keyframes from 1, as in the figures.
        t_sec: its time on the clip clock.
        row: its row of ``labels.parquet``, as its file says now.
        record: its file; None where that cannot be read.
        risk: by its checks; None where they do not tell.
    """

    number: int
    t_sec: float
    row: dict
    record: Record | None
    risk: LabelRisk | None = None

    @property
    def is_abstention(self) -> bool:
        """Whether there is a reason instead of a label."""
        return bool(self.row["status"] == ABSTENTION)

    @property
    def components(self) -> tuple[Component, ...]:
        """The critical components of its record."""
        return self.record.label.components if self.record else ()

    @property
    def emerged_after(self) -> str:
        """What came into sight only after the keyframe, as text; empty where nothing is noted."""
        later = self.record.label.emerged_after if self.record else None
        return _describe(later) if later else ""

    @property
    def detail(self) -> str:
        """What an abstention says beyond its reason."""
        abstention = self.record.label.abstention if self.record else None
        return abstention.detail if abstention else ""

    @cached_property
    def track_ids(self) -> list[str]:
        """The obstacle tracks that the label cites."""
        return [c.track_id for c in self.components if c.track_id is not None]

    @property
    def causes(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """For each decision its axis and its observed causes, as text and track id (empty where it has none)."""
        label = self.record.label if self.record else None
        if label is None:
            named = [(axis, self.row[f"{axis}_causes"] or []) for axis in _CHANNELS if self.row[axis]]
            return [(axis, [(cause, "") for cause in causes if cause != UNOBSERVED]) for axis, causes in named]
        texts = {c.id: (_describe(c), c.track_id or "") for c in label.components}
        channels = ((axis, getattr(label, axis)) for axis in _CHANNELS)
        return [(axis, [texts[i] for i in own.cause_ids if i in texts]) for axis, own in channels if own is not None]


@dataclass
class ClipView:
    """One clip of the sample; ``problems`` says what of it could not be read, ``unreadable`` why it has no motion."""

    run: Run
    clip_id: str
    keyframes: list[Keyframe] = field(default_factory=list)
    timeline: Timeline | None = None
    ego: EgoMotion | None = None
    obstacles: ObstacleTracks | None = None
    problems: list[str] = field(default_factory=list)
    unreadable: str = ""


def _describe(component: Component | EmergedAfter) -> str:
    kind = f"{component.category} · {component.relation}" if component.relation else str(component.category)
    return f"{kind.replace('_', ' ')}: {component.description}"


def read_keyframe(number: int, row: Mapping[str, Any], run_dir: str) -> Keyframe:
    """Return a labelled moment of a run as its file says now; as its row says where the file cannot be read."""
    moment = row["clip_id"], row["event_start_timestamp"]
    record = read_valid(ExperimentFolder(run_dir).record_path(*moment), moment)
    current = dict(row)
    with contextlib.suppress(RecordError):  # it has no record then, which is said
        current = current_row(row, run_dir)
    return Keyframe(number, moment[1] / 1e6, current, record, read_risk(run_dir, row))


def load_clips(runs: Sequence[Run], chosen: Sequence[Candidate]) -> list[ClipView]:
    """Load the chosen clips, in their order."""
    views = {(c.run, c.clip_id): ClipView(runs[c.run], c.clip_id) for c in chosen}
    for number, clip_ids in clip_ids_by_run(chosen).items():
        own = {clip_id: views[number, clip_id] for clip_id in clip_ids}
        _add_keyframes(runs[number], own)
        _add_timelines(runs[number].meta_actions, own)
        _add_motion(runs[number], own)
    return list(views.values())


def _add_keyframes(run: Run, views: dict[str, ClipView]) -> None:
    if run.labelling is None:
        return
    rows = read_clips(run.labelling.labels.paths, LABELS_SCHEMA, list(views)).sort_by("event_start_timestamp")
    for row in rows.to_pylist():
        view = views[row["clip_id"]]
        view.keyframes.append(read_keyframe(len(view.keyframes) + 1, row, run.path))
    for view in views.values():
        unread = sum(keyframe.record is None for keyframe in view.keyframes)
        if unread:
            view.problems.append(
                f"{unread} of {len(view.keyframes)} records cannot be read; shown from labels.parquet."
            )


def _add_timelines(step: MetaActionRun | None, views: dict[str, ClipView]) -> None:
    if step is None:
        return
    spans = step.texts if step.texts is not None else read_clips(step.spans.paths, SPANS_SCHEMA, list(views))
    for timeline in timelines(_of_clips(spans, list(views))):
        views[timeline.clip_id].timeline = timeline


def _of_clips(spans: pa.Table, clip_ids: list[str]) -> pa.Table:
    return spans.filter(pc.is_in(spans.column("clip_id"), pa.array(clip_ids, pa.string())))


def _add_motion(run: Run, views: dict[str, ClipView]) -> None:
    """Read ego motion and obstacles from the dataset itself; nothing is written to its cache."""
    missing = "the run does not say where its recordings lie."
    try:
        if run.dataset_name and run.data_dir is not None:
            missing = f"no recording of this clip in {run.data_dir}."
            _read_motion(run.dataset_name, run.data_dir, views)
    except READING_FAULTS as error:
        missing = str(error)
    for view in views.values():
        if view.ego is None and not view.unreadable:
            view.unreadable = missing
        if view.unreadable:
            view.problems.append(f"No motion to show: {view.unreadable}")


def _read_motion(dataset_name: str, data_dir: str, views: dict[str, ClipView]) -> None:
    dataset = open_dataset(dataset_name, data_dir)
    groups = find_groups(dataset.discover().groups, frozenset(views), cuts_recordings=dataset.cuts_recordings)
    loader = TrajectoryLoader(dataset)
    for group in groups:
        for clip in loader.load(group, views.__contains__):
            if isinstance(clip.result, ClipError):
                _note(str(clip.result), clip, views)
            else:
                views[clip.clip_id].ego = clip.result
                _read_obstacles(loader, clip, views[clip.clip_id])


def _note(problem: str, clip: LoadedClip, views: dict[str, ClipView]) -> None:
    """Write a problem down for its clip, or for all clips of a recording that cannot be read."""
    for clip_id, view in views.items():
        if clip.clip_id in (clip_id, recording_of(clip_id)):
            view.unreadable = problem


def _read_obstacles(loader: TrajectoryLoader, clip: LoadedClip, view: ClipView) -> None:
    try:
        view.obstacles = loader.obstacles(clip)
    except READING_FAULTS as error:
        view.problems.append(f"Obstacles cannot be read: {error}")
        return
    if view.obstacles is None:
        view.problems.append("The dataset has no obstacle tracks for this clip.")
