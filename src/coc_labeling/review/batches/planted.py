"""Labels with a known answer, which measure reviewers: found among their reviews, or in a run known to be right.

An error is planted only where the dataset shows that it is one; a moment that the dataset does not have any more could
not be shown to anybody.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from batch_runs.shards import WHOLE
from coc_labeling.checks.checking import Checker, ClipToCheck, LabelToCheck
from coc_labeling.checks.inputs import Drives, config_of, open_drives
from coc_labeling.errors import CocLabelingError, RecordError
from coc_labeling.judge.controls import known_of
from coc_labeling.judge.selection import Moment, labels_of
from coc_labeling.keyframes import Keyframe
from coc_labeling.review.batches.intake import Checked, KnownLabel, add_planted
from coc_labeling.review.store import ReviewStore
from coc_labeling.scene import scene_facts
from coc_labeling.schema import CoCLabel
from coc_labeling.windows import make_window, side_of
from coc_labeling.work import tasks_of
from driving_clips.datasets.loose import stable_hash
from driving_clips.errors import ClipError, ClipFailedError, DatasetError
from driving_clips.trajectories import LoadedClip
from meta_action.errors import MetaActionError
from meta_action.timeline import Timeline

log = logging.getLogger(__name__)

MOST_WAITING = 1000  # for batches: by default those of 25,000 labels take as many

# Accepted by two people or more, and never judged otherwise by anybody: whoever changed their mind may have heard what
# somebody else thinks.
_ACCEPTED = """
    SELECT l.clip_id, l.t_us, l.label FROM tasks t JOIN labels l ON l.id = t.label
    WHERE t.phase = 'done' AND l.origin = 'generated' GROUP BY l.id
    HAVING count(DISTINCT t.reviewer) > 1 AND NOT EXISTS (
        SELECT 1 FROM tasks o JOIN events e ON e.task = o.id
        WHERE o.label = l.id AND e.kind = 'judged' AND json_extract(e.content, '$.verdict') <> 'accept'
    )
    ORDER BY l.clip_id, l.t_us, l.id
"""


@dataclass(frozen=True)
class Planting:
    """What has been planted.

    Attributes:
        good: labels that are right.
        bad: labels with an error.
        left_out: labels that were not taken, by reason.
        notices: what the user should know.
    """

    good: int
    bad: int
    left_out: Mapping[str, int]
    notices: tuple[str, ...] = ()


def plant_known(store: ReviewStore, run_dir: str, *, gold: str | None = None, data_dir: str | None = None) -> Planting:
    """Add labels with a known answer, which the next batches that are made take; moments that have one get no other.

    They are the labels of ``gold``; without it those of this run that two people accepted, each for themselves and
    without a change. Half of them get an error, as far as one fits. Where the dataset cannot be read, none does.

    Args:
        store: the reviews.
        run_dir: their run, whose configuration says where the dataset is; that of ``gold`` has to be the same one.
        gold: a run, or a folder of records, whose labels are known to be right.
        data_dir: where the dataset is now, if it has moved.

    Raises:
        CocLabelingError: ``gold`` has no labels.
    """
    left_out: Counter[str] = Counter()
    found = _accepted(store) if gold is None else _labels_in(gold, left_out)
    right = _chosen(store, found, left_out)
    if not right:
        return Planting(0, 0, dict(sorted((+left_out).items())))
    before = _planted(store)
    notices: tuple[str, ...] = ()
    try:
        scenes = _Scenes.of_run(run_dir, data_dir, right, checked=_are_checked(store))
        bad = add_planted(store, scenes.labels(right, left_out))
    except (CocLabelingError, DatasetError, MetaActionError) as error:
        notices = (f"no error is planted, since the dataset cannot be read: {error}",)
        bad = add_planted(store, (KnownLabel(*moment, label, None) for moment, label in right.items()))
    good = len(_planted(store) - before) - bad
    return Planting(good, bad, dict(sorted((+left_out).items())), notices)


def _planted(store: ReviewStore) -> set[Moment]:
    rows = store.database.rows("SELECT clip_id, t_us FROM labels WHERE origin = 'planted'")
    return {(row["clip_id"], row["t_us"]) for row in rows}


def _are_checked(store: ReviewStore) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM labels WHERE origin = 'generated' AND risk IS NOT NULL) AS found"
    return bool(store.database.rows(sql)[0]["found"])


def _accepted(store: ReviewStore) -> Iterator[tuple[Moment, CoCLabel]]:
    for row in store.database.rows(_ACCEPTED):
        yield (row["clip_id"], row["t_us"]), CoCLabel.model_validate_json(row["label"])


def _labels_in(run_dir: str, left_out: Counter[str]) -> Iterator[tuple[Moment, CoCLabel]]:
    labels = labels_of(run_dir)
    left_out.update({"abstention": labels.abstentions, "unreadable_record": len(labels.unread)})
    for moment, number in labels.numbers.items():
        try:
            label = labels.read(number)
        except RecordError:
            left_out["unreadable_record"] += 1
            continue
        if label.abstention is None:
            yield moment, label
        else:
            left_out["abstention"] += 1


def _chosen(
    store: ReviewStore, labels: Iterable[tuple[Moment, CoCLabel]], left_out: Counter[str]
) -> dict[Moment, CoCLabel]:
    """Return labels of moments that no planted one is of, by clip and time; if there are too many, some by chance."""
    planted, fresh = _planted(store), {}
    for moment, label in labels:
        if moment in planted:
            left_out["planted_already"] += 1
        else:
            fresh[moment] = label
    sql = "SELECT count(*) AS waiting FROM labels WHERE origin = 'planted' AND wave IS NULL"
    room = max(MOST_WAITING - store.database.rows(sql)[0]["waiting"], 0)
    left_out["more_than_needed"] = max(len(fresh) - room, 0)
    drawn = sorted(fresh, key=lambda moment: stable_hash(f"{moment[0]}/{moment[1]}"))[:room]
    return {moment: fresh[moment] for moment in sorted(drawn)}


@dataclass(frozen=True)
class _Scenes:
    """Reads the scenes of moments, one after another; with ``checked``, labels get what checks find of them there."""

    drives: Drives
    history_sec: float
    future_sec: float
    checked: bool

    @classmethod
    def of_run(cls, run_dir: str, data_dir: str | None, moments: Iterable[Moment], *, checked: bool) -> Self:
        """Find the dataset of a run; raises CocLabelingError, DatasetError or MetaActionError where that fails."""
        config = config_of(run_dir, {} if data_dir is None else {"data.data_dir": data_dir})
        clips = pa.table({"clip_id": pa.array([clip_id for clip_id, _ in moments], pa.string())})
        video = config.data_loader.video
        return cls(open_drives(config, clips, WHOLE), video.hist_length_sec, video.fut_length_sec, checked)

    def labels(self, right: Mapping[Moment, CoCLabel], left_out: Counter[str]) -> Iterator[KnownLabel]:
        """Yield labels with what is known of their scenes; those of moments that cannot be shown are left out."""
        loader, missing = self.drives.loader, set(right)
        keyframes = [Keyframe(*moment) for moment in right]
        for task in tasks_of(self.drives.groups, keyframes, self.drives.timelines, loader.dataset):
            for clip in loader.load(task.group, task.keyframes.__contains__):
                for keyframe in task.keyframes_of(clip):
                    moment = keyframe.clip_id, keyframe.t_us
                    missing.discard(moment)
                    timeline = task.timelines.get(keyframe.clip_id, Timeline(keyframe.clip_id, ()))
                    try:
                        yield self._label(clip, keyframe, timeline, right[moment])
                    except ClipError as error:
                        left_out[error.reason] += 1
        left_out["unknown_clip"] += len(missing)

    def _label(self, clip: LoadedClip, keyframe: Keyframe, timeline: Timeline, label: CoCLabel) -> KnownLabel:
        if isinstance(clip.result, ClipError):
            raise clip.result
        loader, extent = self.drives.loader, (self.history_sec, self.future_sec)
        tracks, side = loader.obstacles(clip), side_of(loader.driving_side(clip.clip_id))
        window = make_window(keyframe, clip.result, timeline, tracks, *extent, driving_side=side)
        try:
            known = known_of(label, window)
            if not self.checked:
                return KnownLabel(keyframe.clip_id, keyframe.t_us, label, known)
            scene = scene_facts(clip.result, tracks, side)
        except Exception as error:  # whatever tracks make it stumble over costs this label only
            raise ClipFailedError("crashed", f"{clip.clip_id}: {type(error).__name__}: {error}") from error
        to_check = ClipToCheck(clip.clip_id, clip.result, timeline, tracks, scene, *extent)

        def check(planted: CoCLabel) -> Checked:
            try:
                risk = Checker().check(to_check, LabelToCheck(keyframe.t_us, planted)).risk
            except Exception:  # whatever a check stumbles over: the label has no risk then
                log.exception("%s: checking a planted label failed", clip.clip_id)
                return Checked()
            return Checked(round(risk.value, 4), risk.status, risk.reasons)

        return KnownLabel(keyframe.clip_id, keyframe.t_us, label, known, check)
