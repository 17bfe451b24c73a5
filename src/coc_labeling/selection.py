"""Which keyframes a run of Step 3 labels: from the list handed in to those that pass the configured filters."""

from dataclasses import replace
from operator import attrgetter

import pyarrow as pa
import pyarrow.parquet as pq

from coc_labeling.config.schema import KeyframeConfig, RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import MERGE_CLOSER_TICKS, Keyframe, read_keyframes
from driving_clips import files
from driving_clips.datasets.base import is_legal_id
from driving_clips.ego_motion import LAST_TICK, TICK_US
from meta_action.errors import MetaActionError
from meta_action.names import parse_names

MERGE_CLOSER_US = MERGE_CLOSER_TICKS * TICK_US

# Keys that choose inputs in ways that this version cannot follow; silently ignoring them would label the wrong clips.
_NOT_YET = (
    "job_split_id",
    "data.segment_config_dir",
    "data.meta_action_dir_root",
    "data.cache_dir_root",
    "data.data_dir_root",
    "data_loader.keyframe.sft_timestamp_alignment_file",
    "data_loader.keyframe.filter_clip_missing_wm",
)


def refuse_unsupported(config: RunConfig) -> None:
    """Raise CocLabelingError for an unknown meta-action in the filter, or a key that is not supported yet."""
    rules = config.data_loader.keyframe
    for key in _NOT_YET:
        if attrgetter(key)(config):
            raise CocLabelingError(f"{key}: not supported yet. Leave it at its default.")
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


def select(config: RunConfig) -> list[Keyframe]:
    """Return the keyframes to label, sorted by clip and time, one per moment.

    Raises:
        CocLabelingError: no list, an unreadable one, or filters that cannot be followed.
    """
    refuse_unsupported(config)
    rules = config.data_loader.keyframe
    keyframes = _read(config)
    listed = len(keyframes)
    if rules.meta_action_filter is not None:
        keyframes = _with_actions(keyframes, set(parse_names(rules.meta_action_filter)))
    if rules.round_event_start_frame_interval > 1:
        keyframes = _rounded(keyframes, rules.round_event_start_frame_interval)
    keyframes = [keyframe for keyframe in keyframes if _passes(keyframe, rules)]
    if listed and not keyframes:
        raise CocLabelingError(
            f"none of the {listed} keyframes listed passes the filters (meta_action_filter={rules.meta_action_filter}, "
            f"segment_filter_include={_few(rules.segment_filter_include)}, "
            f"segment_filter_exclude={_few(rules.segment_filter_exclude)}): nothing to label."
        )
    return _without_near_ones(keyframes) if rules.deduplicate_segments else keyframes


def _few(items: list[str] | None) -> str:
    return str(items) if items is None or len(items) <= 3 else f"{len(items)} entries"


def _read(config: RunConfig) -> list[Keyframe]:
    if config.data_loader.keyframe.segment_generator_type == "json":
        if config.data.segment_config_path is None:
            raise CocLabelingError("data.segment_config_path: required, the keyframe JSON of Step 2.")
        return read_keyframes(config.data.segment_config_path)
    paths = config.data.segment_list_parquet_file
    if not paths:
        raise CocLabelingError(
            "data.segment_list_parquet_file: required, one or several parquet files of segments "
            "(or set data_loader.keyframe.segment_generator_type=json)."
        )
    found: dict[tuple[str, int], Keyframe] = {}
    for number, path in enumerate([paths] if isinstance(paths, str) else paths):
        for keyframe in _read_parquet(path, number, config.data_loader.keyframe):
            found.setdefault((keyframe.clip_id, keyframe.t_us), keyframe)
    return [found[key] for key in sorted(found)]


def _read_parquet(path: str, number: int, rules: KeyframeConfig) -> list[Keyframe]:
    if not files.is_file(path):
        raise CocLabelingError(f"{path}: no such file (data.segment_list_parquet_file).")
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise CocLabelingError(f"{path}: expected a parquet file ({error}).") from error
    clip_column = _column(table, rules.segment_list_parquet_clip_id_column, number, path)
    time_column = _column(table, rules.segment_list_parquet_timestamp_column, number, path)
    keyframes = []
    rows = zip(table.column(clip_column).to_pylist(), table.column(time_column).to_pylist(), strict=True)
    for row, (clip_id, t_us) in enumerate(rows):
        named = isinstance(clip_id, str) and is_legal_id(clip_id)
        if not named or not isinstance(t_us, int) or not 0 <= t_us <= LAST_TICK * TICK_US:
            raise CocLabelingError(
                f"{path}, row {row}: expected a legal clip id and microseconds from 0 to {LAST_TICK * TICK_US} on "
                f"the clip clock, found {clip_column}={clip_id!r}, {time_column}={t_us!r}."
            )
        keyframes.append(Keyframe(clip_id, t_us))
    return keyframes


def _column(table: pa.Table, wanted: str | list, number: int, path: str) -> str:
    """Return the column that is there: a name, the first of several candidates, or of the candidates of this file."""
    lists = [one for one in wanted if isinstance(one, list)]
    candidates = [wanted] if isinstance(wanted, str) else [one for one in wanted if isinstance(one, str)]
    if lists:
        candidates = lists[min(number, len(lists) - 1)]
    for candidate in candidates:
        if candidate in table.column_names:
            return candidate
    raise CocLabelingError(
        f"{path}: expected a column {' or '.join(candidates)}, found {', '.join(table.column_names)}."
    )


def _with_actions(keyframes: list[Keyframe], wanted: set[str]) -> list[Keyframe]:
    kept = (replace(k, actions=tuple(a for a in k.actions if a in wanted)) for k in keyframes)
    return [keyframe for keyframe in kept if keyframe.actions]


def _rounded(keyframes: list[Keyframe], interval: int) -> list[Keyframe]:
    """Move keyframes to multiples of ``interval`` frames, at or before; those that meet become one."""
    found: dict[tuple[str, int], Keyframe] = {}
    for keyframe in keyframes:
        t_us = keyframe.frame // interval * interval * TICK_US
        other = found.get((keyframe.clip_id, t_us))
        actions = dict.fromkeys((*(other.actions if other else ()), *keyframe.actions))
        found[keyframe.clip_id, t_us] = Keyframe(keyframe.clip_id, t_us, tuple(actions))
    return [found[key] for key in sorted(found)]


def _passes(keyframe: Keyframe, rules: KeyframeConfig) -> bool:
    identities = {keyframe.clip_id, f"{keyframe.clip_id}_{keyframe.frame}"}
    included = rules.segment_filter_include is None or not identities.isdisjoint(rules.segment_filter_include)
    return included and identities.isdisjoint(rules.segment_filter_exclude or ())


def _without_near_ones(keyframes: list[Keyframe]) -> list[Keyframe]:
    """Keep the first of a clip's keyframes that are less than 0.5 s apart."""
    kept: list[Keyframe] = []
    for keyframe in keyframes:
        last = kept[-1] if kept else None
        if last and last.clip_id == keyframe.clip_id and keyframe.t_us - last.t_us < MERGE_CLOSER_US:
            continue
        kept.append(keyframe)
    return kept
