"""The keyframes to choose from, and those chosen: Step 2's lists, and its file."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence

import numpy as np

from coc_labeling.keyframes import Entry, Keyframe, KeyframeRules, Keyframes, read_entries, select_keyframes
from driving_clips import files
from driving_clips.ego_motion import TICK_US
from meta_action.names import BY_NAME, RANK, parse_names
from meta_action.reading import read_spans

Moment = tuple[str, int]  # clip id, frame of 0.1 s


def keyframes_of_run(meta_action_dir: str) -> list[Keyframes]:
    """Return what Step 2 selects from the meta-actions of a run by default.

    Raises:
        MetaActionError: they cannot be read.
    """
    return select_keyframes(read_spans(meta_action_dir), KeyframeRules(actions=tuple(BY_NAME)))


def keyframes_of_file(path: str) -> list[Keyframes]:
    """Read a keyframe file, of Step 2 or of older tools, back into its lists; entries that repeat count once.

    Raises:
        CocLabelingError, MetaActionError: no such file, or what is no keyframe in it.
    """
    lists = []
    for action, entries in read_entries(path).items():
        rows = {(own.clip_id, own.frame): _end(own) for own in entries}
        clips, starts = [clip for clip, _ in rows], [start for _, start in rows]
        (name,) = parse_names([action])
        clip_id = np.array(clips, dtype=np.object_)
        lists.append(Keyframes(name, clip_id, np.array(starts, np.int64), np.array(list(rows.values()), np.int64)))
    return lists


def _end(entry: Entry) -> int:
    """Return the frame that an entry's span ends at; older tools may not say it."""
    end = entry.fields.get("event_end_frame", entry.fields.get("end"))
    return max(int(end), entry.frame) if isinstance(end, int) else entry.frame


def moments_of(keyframes: Sequence[Keyframes], clips: Container[str] | None = None) -> list[Keyframe]:
    """Return the moments of keyframes by clip and time, each once with its meta-actions; of some ``clips``, or all."""
    actions: dict[Moment, list[str]] = {}
    for own in keyframes:
        for clip_id, frame in _moments(own):
            if clips is None or clip_id in clips:
                actions.setdefault((clip_id, frame), []).append(own.action)
    return [Keyframe(clip, frame * TICK_US, tuple(names)) for (clip, frame), names in sorted(actions.items())]


def _moments(own: Keyframes) -> Iterator[Moment]:
    return zip(own.clip_id.tolist(), own.start.tolist(), strict=True)


def decision_proxies(moments: Sequence[Keyframe]) -> list[str]:
    """Return for each moment the meta-action that stands for its decision: of those that start there the rarest."""
    counts = Counter(action for moment in moments for action in moment.actions)
    return [min(moment.actions, key=lambda name: (counts[name], RANK[name])) for moment in moments]


def write_chosen(path: str, keyframes: Iterable[Keyframes], chosen: Container[Moment]) -> None:
    """Write the chosen moments as Step 2 does: a list per meta-action, empty or not, in the order given."""
    lists = {
        own.action: [
            {
                "meta_action": own.action,
                "clip_id": clip_id,
                "event_start_frame": start,
                "event_end_frame": end,
                "duration": end - start,
            }
            for (clip_id, start), end in zip(_moments(own), own.end.tolist(), strict=True)
            if (clip_id, start) in chosen
        ]
        for own in keyframes
    }
    files.write_atomic(path, json.dumps(dict(sorted(lists.items())), indent=4))
