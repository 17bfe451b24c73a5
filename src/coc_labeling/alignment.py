"""Tables of moments (clip id and time), and moving keyframes onto the moments of such a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe
from driving_clips import files
from driving_clips.datasets.base import CLIP_US, is_legal_id

SFT_KEY = "data_loader.keyframe.sft_timestamp_alignment_file"
CLIP_ID, TIME_US = "clip_id", "time_us"
ALIGN_WITHIN_US = 1_000_000
_WHOLE_NUMBER = r"^[0-9]{1,18}$"


@dataclass(frozen=True)
class Moments:
    """Moments by clip and time, each once.

    Attributes:
        names: the clips' ids, sorted.
        clip: (N,) numbers of clips in ``names``.
        t_us: (N,) microseconds on the clip clock.
    """

    names: list[str]
    clip: NDArray[np.int64]
    t_us: NDArray[np.int64]

    def keyframes(self) -> list[Keyframe]:
        """Return a keyframe for each."""
        return list(map(Keyframe, map(self.names.__getitem__, self.clip.tolist()), self.t_us.tolist()))

    def nearest_before(self, clip: NDArray[np.int64], t_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return for moments of these clips the nearest time at or before within 1 s, else the clip's earliest.

        Also returns how many had none within 1 s.
        """
        first = np.searchsorted(self.clip, clip)
        apart = 2 * CLIP_US  # all clips on one axis; keyframes may be asked for beyond a clip's end
        wanted = clip * apart + np.minimum(t_us, apart - 1)
        at = np.searchsorted(self.clip * apart + self.t_us, wanted, side="right") - 1
        far = (at < first) | (t_us - self.t_us[at] > ALIGN_WITHIN_US)
        return self.t_us[np.where(far, first, at)], int(far.sum())


def align(keyframes: Sequence[Keyframe], path: str) -> tuple[list[Keyframe], list[str]]:
    """Move each keyframe to its clip's time in a file: the nearest at or before within 1 s, else the earliest.

    The file is a parquet (or ``.csv``) with the columns clip_id and time_us, microseconds on the clip clock. Keyframes
    of clips that are not in it are left out; those that meet at one time become one. Returns the keyframes by clip
    and time, and what the user should know.

    Raises:
        CocLabelingError: no such file, columns or rows, a row that is no moment of a clip, or no keyframe's clip in it.
    """
    moments = sorted_moments([read_moments(path, [CLIP_ID], [TIME_US], SFT_KEY)])
    number_of = {clip_id: number for number, clip_id in enumerate(moments.names)}
    known = [keyframe for keyframe in keyframes if keyframe.clip_id in number_of]
    if keyframes and not known:
        raise CocLabelingError(
            f"{path}: holds times of {len(number_of)} clips, none of them a clip of the {len(keyframes)} keyframes. "
            f"Set {SFT_KEY} to the file of these clips, or to null."
        )
    clip = np.array([number_of[keyframe.clip_id] for keyframe in known], np.int64)
    moved, far = moments.nearest_before(clip, np.array([keyframe.t_us for keyframe in known], np.int64))
    aligned = (Keyframe(k.clip_id, t_us, k.actions) for k, t_us in zip(known, moved.tolist(), strict=True))
    return joined(aligned), _notices(path, len(keyframes) - len(known), far)


def joined(keyframes: Iterable[Keyframe]) -> list[Keyframe]:
    """Return keyframes by clip and time; those at one time of one clip become one, with the actions of all."""
    found: dict[tuple[str, int], Keyframe] = {}
    for keyframe in keyframes:
        key = (keyframe.clip_id, keyframe.t_us)
        other = found.get(key)
        if other is not None and other.actions != keyframe.actions:
            both = dict.fromkeys((*other.actions, *keyframe.actions))
            keyframe = replace(other, actions=tuple(both))
        found[key] = keyframe
    return [found[key] for key in sorted(found)]


def _notices(path: str, left_out: int, far: int) -> list[str]:
    notices = []
    if left_out:
        notices.append(f"{path}: {left_out} keyframes left out, their clips are not in it")
    if far:
        notices.append(
            f"{path}: no time within {ALIGN_WITHIN_US / 1e6:.0f} s before {far} keyframes, each moved to its clip's "
            "earliest"
        )
    return notices


def read_moments(path: str, clip_columns: Sequence[str], time_columns: Sequence[str], key: str) -> pa.Table:
    """Return columns clip_id (string) and t_us (int64) of a parquet, or ``.csv``; of candidates the first there is.

    ``key`` is the configuration's name for the file.

    Raises:
        CocLabelingError: not such a file, or a row without a legal clip id and a time on the clip clock; it is named.
    """
    if not files.is_file(path):
        raise CocLabelingError(f"{path}: no such file ({key}).")
    table = _read_csv(path, clip_columns) if path.endswith(".csv") else _read_parquet(path, clip_columns, time_columns)
    clip_column, time_column = _column(table, clip_columns, path), _column(table, time_columns, path)
    clips, times = table.column(clip_column), table.column(time_column)
    legal = _legal_ids(clips)
    t_us, on_clock = _clock_values(times)
    wrong = np.flatnonzero(~(legal & on_clock))
    if len(wrong):
        row = int(wrong[0])
        raise CocLabelingError(
            f"{path}, row {row}: expected a legal clip id and microseconds from 0 to {CLIP_US} on the clip clock, "
            f"found {clip_column}={clips[row].as_py()!r}, {time_column}={times[row].as_py()!r}."
        )
    # An empty file may have columns of any type.
    clip_ids = clips.cast(pa.string()) if len(clips) else pa.array([], pa.string())
    return pa.table({CLIP_ID: clip_ids, "t_us": pa.array(t_us)})


def sorted_moments(tables: Sequence[pa.Table]) -> Moments:
    """Return the moments of tables from ``read_moments``."""
    table = pa.concat_tables(tables)
    encoded = table.column(CLIP_ID).combine_chunks().dictionary_encode()
    by_name = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(by_name), np.int64)
    rank[by_name] = np.arange(len(by_name))
    clip, t_us = rank[encoded.indices.to_numpy()], table.column("t_us").to_numpy()
    order = np.lexsort((t_us, clip))
    clip, t_us = clip[order], t_us[order]
    first = np.ones(len(clip), bool)
    first[1:] = (np.diff(clip) != 0) | (np.diff(t_us) != 0)
    return Moments(encoded.dictionary.take(pa.array(by_name)).to_pylist(), clip[first], t_us[first])


def _read_parquet(path: str, *wanted: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            chosen = [name for names in wanted for name in names if name in there]
            # Without them all the error shows what there is.
            return file.read(columns=chosen) if len(chosen) >= len(wanted) else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError) as error:
        raise CocLabelingError(f"{path}: expected a parquet file ({error}).") from error


def _read_csv(path: str, clip_columns: Sequence[str]) -> pa.Table:
    as_text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(clip_columns, pa.string()))  # 007 stays 007
    try:
        return pyarrow.csv.read_csv(path, convert_options=as_text)
    except (pa.ArrowException, OSError) as error:
        raise CocLabelingError(f"{path}: expected a CSV file with a header row ({error}).") from error


def _column(table: pa.Table, candidates: Sequence[str], path: str) -> str:
    for candidate in candidates:
        if table.column_names.count(candidate) == 1:
            return candidate
    raise CocLabelingError(
        f"{path}: expected a column {' or '.join(candidates)}, found {', '.join(table.column_names) or 'none'}."
    )


def _legal_ids(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Say for each row whether it holds a legal clip id; each different text is looked at once."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return np.zeros(len(column), bool)
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    legal = np.array([*map(is_legal_id, encoded.dictionary.to_pylist()), False])  # the last is that of a null, row -1
    found: NDArray[np.bool_] = legal[pc.fill_null(encoded.indices, -1).to_numpy()]
    return found


def _clock_values(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return whole numbers, and for each row whether it is a time on the clip clock."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # In a CSV one word among the numbers makes texts of them all; it is to be found.
        number = pc.match_substring_regex(column, _WHOLE_NUMBER)
        column = pc.if_else(number, column, None).cast(pa.int64())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    values = column.to_numpy()  # with nulls: floats, and NaN for them
    on_clock: NDArray[np.bool_] = (values >= 0) & (values <= CLIP_US) & (values == np.floor(values))
    return np.where(on_clock, values, 0).astype(np.int64), on_clock
