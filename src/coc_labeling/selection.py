"""Which keyframes a run of Step 3 labels: from the list handed in to those that pass the configured filters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from batch_runs.clip_lists import read_clip_list
from coc_labeling.alignment import align, joined, read_moments, sorted_moments
from coc_labeling.config.schema import KeyframeConfig, RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.job_split import refuse_unsplit
from coc_labeling.keyframes import MERGE_CLOSER_TICKS, Keyframe, read_keyframes
from driving_clips.ego_motion import TICK_US
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError
from meta_action.names import parse_names

MERGE_CLOSER_US = MERGE_CLOSER_TICKS * TICK_US
_SHOWN = 3


@dataclass(frozen=True)
class Selection:
    """What a run labels.

    Attributes:
        keyframes: by clip and time, one per moment.
        notices: what the user should know: keyframes left out or moved far, filters that name nothing.
    """

    keyframes: list[Keyframe]
    notices: list[str]


def refuse_unsupported(config: RunConfig) -> None:
    """Raise CocLabelingError for filters that cannot be followed, as far as that shows without the inputs."""
    refuse_unsplit(config)
    rules = config.data_loader.keyframe
    if rules.filter_clip_missing_wm and config.data.wm_file_check is None:
        raise CocLabelingError(
            "data.wm_file_check: required by data_loader.keyframe.filter_clip_missing_wm=true, a text file with the "
            "ids of the clips that have obstacle files, one a line."
        )
    if rules.meta_action_filter is None:
        return
    if rules.segment_generator_type == "parquet":
        raise CocLabelingError(
            "data_loader.keyframe.meta_action_filter: a parquet list of segments names no meta-actions to filter "
            "by. Set it to null, or use segment_generator_type=json."
        )
    try:
        parse_names(rules.meta_action_filter)
    except MetaActionError as error:
        raise CocLabelingError(f"data_loader.keyframe.meta_action_filter: {error}") from error


def select(config: RunConfig) -> Selection:
    """Return the keyframes to label.

    In this order: the list is read; meta_action_filter keeps those of the actions asked for;
    sft_timestamp_alignment_file moves them; round_event_start_frame_interval moves them;
    segment_filter_include and segment_filter_exclude (which name the moments that the records will have) and
    filter_clip_missing_wm leave some out; deduplicate_segments drops those close to an earlier one.

    Raises:
        CocLabelingError: no list, an unreadable file, filters that cannot be followed, or that leave nothing of a list.
    """
    refuse_unsupported(config)
    rules = config.data_loader.keyframe
    listed = keyframes = _read(config)
    notices: list[str] = []
    if rules.meta_action_filter is not None:
        keyframes = _with_actions(keyframes, set(parse_names(rules.meta_action_filter)))
    if rules.sft_timestamp_alignment_file is not None:
        keyframes, said = align(keyframes, rules.sft_timestamp_alignment_file)
        notices += said
    if rules.round_event_start_frame_interval > 1:
        keyframes = _rounded(keyframes, rules.round_event_start_frame_interval)
    notices += _without_match(keyframes, rules)
    keyframes = _included(keyframes, rules)
    if config.data.wm_file_check is not None:
        keyframes, said = _with_obstacles(keyframes, config.data.wm_file_check, applies=rules.filter_clip_missing_wm)
        notices += said
    if listed and not keyframes:
        raise _nothing_left(len(listed), config, notices)
    return Selection(_without_near_ones(keyframes) if rules.deduplicate_segments else keyframes, notices)


def _nothing_left(listed: int, config: RunConfig, notices: list[str]) -> CocLabelingError:
    rules = config.data_loader.keyframe
    said = f" ({'; '.join(notices)})" if notices else ""
    return CocLabelingError(
        f"none of the {listed} keyframes listed passes the filters (meta_action_filter={rules.meta_action_filter}, "
        f"segment_filter_include={_few(rules.segment_filter_include)}, "
        f"segment_filter_exclude={_few(rules.segment_filter_exclude)}, "
        f"filter_clip_missing_wm={str(rules.filter_clip_missing_wm).lower()}): nothing to label{said}."
    )


def _few(items: list[str] | None) -> str:
    return str(items) if items is None or len(items) <= _SHOWN else f"{len(items)} entries"


def _read(config: RunConfig) -> list[Keyframe]:
    rules = config.data_loader.keyframe
    if rules.segment_generator_type == "json":
        if config.data.segment_config_path is None:
            raise CocLabelingError("data.segment_config_path: required, the keyframe JSON of Step 2.")
        return read_keyframes(config.data.segment_config_path)
    paths = config.data.segment_list_parquet_file
    if not paths:
        raise CocLabelingError(
            "data.segment_list_parquet_file: required, one or several parquet files of segments "
            "(or set data_loader.keyframe.segment_generator_type=json)."
        )
    tables = [
        read_moments(
            path,
            _candidates(rules.segment_list_parquet_clip_id_column, number),
            _candidates(rules.segment_list_parquet_timestamp_column, number),
            "data.segment_list_parquet_file",
        )
        for number, path in enumerate([paths] if isinstance(paths, str) else paths)
    ]
    return sorted_moments(tables).keyframes()


def _candidates(wanted: str | list[str | list[str]], number: int) -> list[str]:
    """Return the names that a column of the file of this number may have: one, candidates, or those of this file."""
    if isinstance(wanted, str):
        return [wanted]
    lists = [one for one in wanted if isinstance(one, list)]
    return lists[min(number, len(lists) - 1)] if lists else [one for one in wanted if isinstance(one, str)]


def _with_actions(keyframes: list[Keyframe], wanted: set[str]) -> list[Keyframe]:
    kept = (replace(k, actions=tuple(a for a in k.actions if a in wanted)) for k in keyframes)
    return [keyframe for keyframe in kept if keyframe.actions]


def _rounded(keyframes: list[Keyframe], interval: int) -> list[Keyframe]:
    """Move keyframes to multiples of ``interval`` frames, at or before; those that meet become one."""
    return joined(replace(k, t_us=k.frame // interval * interval * TICK_US) for k in keyframes)


def _identities(keyframe: Keyframe) -> tuple[str, str]:
    """Return what a filter may call a keyframe: its clip, and its moment."""
    return keyframe.clip_id, f"{keyframe.clip_id}_{keyframe.frame}"


def _without_match(keyframes: list[Keyframe], rules: KeyframeConfig) -> Iterator[str]:
    """Yield a notice for each filter with entries that no keyframe has: mistyped, most likely."""
    filters = {"include": rules.segment_filter_include, "exclude": rules.segment_filter_exclude}
    if not keyframes or not any(filters.values()):
        return
    there = {identity for keyframe in keyframes for identity in _identities(keyframe)}
    for name, entries in filters.items():
        unknown = [entry for entry in dict.fromkeys(entries or ()) if entry not in there]
        if unknown:
            yield f"data_loader.keyframe.segment_filter_{name}: no keyframe is called {_named(unknown)}"


def _named(items: Iterable[str]) -> str:
    every = list(items)
    shown = ", ".join(every[:_SHOWN])
    return shown if len(every) <= _SHOWN else f"{shown} and {len(every) - _SHOWN} more"


def _included(keyframes: list[Keyframe], rules: KeyframeConfig) -> list[Keyframe]:
    include, exclude = rules.segment_filter_include, frozenset(rules.segment_filter_exclude or ())
    if include is not None:
        only = frozenset(include)
        keyframes = [keyframe for keyframe in keyframes if not only.isdisjoint(_identities(keyframe))]
    return [keyframe for keyframe in keyframes if exclude.isdisjoint(_identities(keyframe))] if exclude else keyframes


def _with_obstacles(keyframes: list[Keyframe], path: str, *, applies: bool) -> tuple[list[Keyframe], list[str]]:
    """Return the keyframes of the clips that a file lists as having obstacles, and notices."""
    if not applies:
        off = "data.wm_file_check: no effect without data_loader.keyframe.filter_clip_missing_wm=true"
        return keyframes, [off]
    try:
        listed = read_clip_list(path)
    except DatasetError as error:
        raise CocLabelingError(f"data.wm_file_check: {error}") from error
    kept = [keyframe for keyframe in keyframes if keyframe.clip_id in listed.ids]
    notices = listed.notices(path)
    if len(kept) < len(keyframes):
        missing = sorted({keyframe.clip_id for keyframe in keyframes} - listed.ids)
        notices.append(
            f"{path}: {len(keyframes) - len(kept)} keyframes left out, their clips are not in the list "
            f"({len(missing)}): {_named(missing)}"
        )
    return kept, notices


def _without_near_ones(keyframes: list[Keyframe]) -> list[Keyframe]:
    """Keep the first of a clip's keyframes that are less than 0.5 s apart."""
    kept: list[Keyframe] = []
    for keyframe in keyframes:
        last = kept[-1] if kept else None
        if last and last.clip_id == keyframe.clip_id and keyframe.t_us - last.t_us < MERGE_CLOSER_US:
            continue
        kept.append(keyframe)
    return kept
