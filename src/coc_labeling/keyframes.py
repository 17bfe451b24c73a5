"""Step 2: which moments are worth a label. A keyframe is the start of a meta-action's span."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.datasets.base import is_legal_id
from driving_clips.ego_motion import TICK_US
from meta_action.timeline import MAX_TICK

TICKS_PER_SEC = 10
MERGE_CLOSER_TICKS = 5  # 0.5 s
ALL_FILE = "segments_relative_timestamp_all.json"
SAMPLED_FILE = "segments_relative_timestamp_sampled.json"


@dataclass(frozen=True)
class KeyframeRules:
    """Which spans become keyframes.

    Attributes:
        actions: names of meta-actions; each has a list in the files, empty or not.
        min_duration: shortest span, in ticks of 0.1 s.
        min_start_ts: first tick that a span may start at.
        max_start_ts: last tick that a span may start at.
        target_count: most keyframes of an action in the sampled file; the longest are kept.
        lead_ticks: how much earlier than the span the keyframe is set; never before the clip's start.
        merge: keep one of several keyframes of a clip that are closer than 0.5 s.
    """

    actions: tuple[str, ...]
    min_duration: int = 10
    min_start_ts: int = 20
    max_start_ts: int = 135
    target_count: int = 500_000
    lead_ticks: int = 0
    merge: bool = False


@dataclass(frozen=True)
class Keyframes:
    """Keyframes of one action: (K,) arrays, in the order of the text files' names, then of their lines."""

    action: str
    clip_id: NDArray[np.object_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def longest(self, count: int) -> "Keyframes":
        """Return the ``count`` longest, longest first, equal ones in their order; all as they are if they fit."""
        if len(self) <= count:
            return self
        order = np.argsort(self.start - self.end, kind="stable")[:count]
        return Keyframes(self.action, self.clip_id[order], self.start[order], self.end[order])


def select_keyframes(spans: pa.Table, rules: KeyframeRules) -> list[Keyframes]:
    """Return the keyframes of each action of ``rules``, by name, from a table of spans in file order."""
    start, end = (spans.column(name).to_numpy().astype(np.int64) for name in ("start_tick", "end_tick"))
    chosen = (end - start >= rules.min_duration) & (start >= rules.min_start_ts) & (start <= rules.max_start_ts)
    actions = sorted(set(rules.actions))
    action = pc.fill_null(pc.index_in(spans.column("name"), pa.array(actions, pa.string())), -1).to_numpy()
    rows = np.flatnonzero(chosen & (action >= 0))
    if rules.merge:
        rows = _without_near_ones(spans.column("clip_id").take(pa.array(rows)), start, end, rows)
    clip_ids = spans.column("clip_id").take(pa.array(rows)).to_numpy()
    at = np.maximum(start[rows] - rules.lead_ticks, 0)
    keyframes = []
    for number, name in enumerate(actions):
        own = action[rows] == number
        keyframes.append(Keyframes(name, clip_ids[own], at[own], end[rows][own]))
    return keyframes


def _without_near_ones(
    clip_ids: pa.ChunkedArray, start: NDArray[np.int64], end: NDArray[np.int64], rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Keep, of keyframes of one clip less than 0.5 s apart, the first; of those that start together the longest."""
    clip = pc.rank(clip_ids.combine_chunks(), tiebreaker="dense").to_numpy().astype(np.int64)
    order = np.lexsort((start[rows] - end[rows], start[rows], clip))
    kept = []
    last_clip, last_start = -1, 0
    for i in order.tolist():
        tick = int(start[rows[i]])
        if clip[i] == last_clip and tick - last_start < MERGE_CLOSER_TICKS:
            continue
        last_clip, last_start = int(clip[i]), tick
        kept.append(i)
    return rows[np.sort(np.array(kept, dtype=np.intp))]


def write_keyframes(keyframes: Sequence[Keyframes], target_count: int, output_dir: str) -> tuple[str, str]:
    """Write the file of all keyframes and the sampled one; returns their paths."""
    every = {own.action: _entries(own) for own in keyframes}
    sampled = {
        own.action: every[own.action] if len(own) <= target_count else _entries(own.longest(target_count))
        for own in keyframes
    }
    paths = files.join(output_dir, ALL_FILE), files.join(output_dir, SAMPLED_FILE)
    for path, entries in zip(paths, (every, sampled), strict=True):
        files.write_atomic(path, _document(entries))
    return paths


def _document(entries: dict[str, str]) -> str:
    """Return what ``json.dumps(..., indent=4, sort_keys=True)`` of the lists would give, many times sooner."""
    lists = (
        f'    "{action}": [{text}\n    ]' if text else f'    "{action}": []' for action, text in sorted(entries.items())
    )
    return "{\n" + ",\n".join(lists) + "\n}"


def _entries(own: Keyframes) -> str:
    head = f'\n        {{\n            "meta_action": "{own.action}",\n            "clip_id": '
    columns = (own.clip_id.tolist(), own.start.tolist(), own.end.tolist())
    return ",".join(
        f'{head}{json.dumps(clip_id)},\n            "event_start_frame": {start},\n'
        f'            "event_end_frame": {end},\n            "duration": {end - start}\n        }}'
        for clip_id, start, end in zip(*columns, strict=True)
    )


def statistics(keyframes: Sequence[Keyframes]) -> list[str]:
    """Return a table of count, mean, shortest and longest duration (ticks of 0.1 s) by action."""
    lines = [f"{'meta-action':24}{'count':>8}{'mean':>8}{'min':>6}{'max':>6}   (duration in frames of 0.1 s)"]
    for own in keyframes:
        duration = own.end - own.start
        if len(own):
            numbers = f"{duration.mean():8.1f}{duration.min():6d}{duration.max():6d}"
        else:
            numbers = f"{'-':>8}{'-':>6}{'-':>6}"
        lines.append(f"{own.action:24}{len(own):8d}{numbers}")
    return lines


@dataclass(frozen=True)
class Keyframe:
    """One moment to label.

    Attributes:
        clip_id: the clip.
        t_us: microseconds on the clip clock.
        actions: the meta-actions whose spans start here, as far as they were selected.
    """

    clip_id: str
    t_us: int
    actions: tuple[str, ...] = ()

    @property
    def frame(self) -> int:
        """The tick of 0.1 s that holds here."""
        return self.t_us // TICK_US


class Entry(NamedTuple):
    """An entry of a keyframe file.

    Attributes:
        clip_id: the clip.
        frame: the tick of 0.1 s.
        fields: all that the file says of it, under today's or the older keys.
    """

    clip_id: str
    frame: int
    fields: Mapping[str, Any]


def read_keyframes(path: str) -> list[Keyframe]:
    """Read a keyframe file, of Step 2 or of older tools; those at one time of one clip become one.

    Raises:
        CocLabelingError: no such file, or an entry without clip and frame; the message names it.
    """
    actions: dict[tuple[str, int], list[str]] = {}
    for action, entries in read_entries(path).items():
        for own in entries:
            names = actions.setdefault((own.clip_id, own.frame), [])
            if action not in names:
                names.append(action)
    return [Keyframe(clip_id, frame * TICK_US, tuple(names)) for (clip_id, frame), names in sorted(actions.items())]


def read_entries(path: str) -> dict[str, list[Entry]]:
    """Return the entries of a keyframe file by meta-action, in its order; raises CocLabelingError as above."""
    try:
        content = json.loads(files.read_text(path))
    except FileNotFoundError as error:
        raise CocLabelingError(
            f"{path}: no such keyframe file. Run coc_labeling.keyframe_auto_select first, or set "
            "data.segment_config_path."
        ) from error
    except (OSError, ValueError) as error:
        raise CocLabelingError(f"{path}: expected JSON ({error}).") from error
    if not isinstance(content, dict):
        raise CocLabelingError(
            f"{path}: expected an object with a list per meta-action, found a {type(content).__name__}."
        )
    lists = {}
    for action, entries in content.items():
        if not isinstance(entries, list):
            raise CocLabelingError(f"{path}: {action}: expected a list of entries, found a {type(entries).__name__}.")
        lists[action] = [
            Entry(*_identity(entry, f"{path}: {action}[{number}]"), entry) for number, entry in enumerate(entries)
        ]
    return lists


def _identity(entry: object, origin: str) -> tuple[str, int]:
    """Return clip and frame of an entry, under today's or the older keys."""
    if isinstance(entry, dict):
        clip_id, frame = entry.get("clip_id", entry.get("filename")), entry.get("event_start_frame", entry.get("start"))
        if isinstance(frame, float) and frame.is_integer():
            frame = int(frame)
        if isinstance(frame, bool):
            frame = None
        if isinstance(clip_id, str) and is_legal_id(clip_id) and isinstance(frame, int) and 0 <= frame <= MAX_TICK:
            return clip_id, frame
    raise CocLabelingError(
        f"{origin}: expected clip_id (or filename), a legal id, and event_start_frame (or start), a frame from 0, "
        f"found {str(entry)[:120]}."
    )
