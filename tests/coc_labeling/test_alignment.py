from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.runs import config, write_keyframes
from coc_labeling.alignment import align
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe
from coc_labeling.selection import Selection, select

TWO_CLIPS = {"stop": [("b", 50), ("a", 30)], "go_straight": [("a", 30), ("a", 33), ("b", 120)]}


@pytest.fixture
def selected(tmp_path):
    def selected(moments: dict, **rules) -> Selection:
        path = write_keyframes(tmp_path / "keyframes.json", moments)
        settings = {f"data_loader__keyframe__{key}": value for key, value in rules.items()}
        return select(config(data__segment_config_path=str(path), **settings))

    return selected


@pytest.fixture
def from_json(selected):
    return lambda moments, **rules: selected(moments, **rules).keyframes


def moments(keyframes: list[Keyframe]) -> list[tuple[str, int]]:
    return [(keyframe.clip_id, keyframe.frame) for keyframe in keyframes]


def write_times(path: Path, rows: list[tuple[str, int]], columns=("clip_id", "time_us")) -> str:
    pq.write_table(pa.table({columns[0]: [row[0] for row in rows], columns[1]: [row[1] for row in rows]}), path)
    return str(path)


def test_a_keyframe_moves_to_the_nearest_time_at_or_before_it(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 2_999_999), ("a", 2_000_000), ("a", 3_000_001), ("a", 0)])
    assert from_json({"stop": [("a", 30)]}, sft_timestamp_alignment_file=times) == [Keyframe("a", 2_999_999, ("stop",))]


def test_a_keyframe_on_a_time_stays(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 2_900_000), ("a", 3_000_000)])
    assert moments(from_json({"stop": [("a", 30)]}, sft_timestamp_alignment_file=times)) == [("a", 30)]


@pytest.mark.parametrize(
    ("before", "expected"),
    [(2_000_000, 2_000_000), (1_999_999, 500_000)],
)
def test_a_time_over_1_s_before_is_too_far_and_the_earliest_is_taken(from_json, tmp_path, before, expected):
    times = write_times(tmp_path / "t.parquet", [("a", 500_000), ("a", before), ("a", 3_100_000), ("b", 0)])
    (moved,) = from_json({"stop": [("a", 30)]}, sft_timestamp_alignment_file=times)
    assert moved.t_us == expected


def test_before_the_first_time_the_earliest_is_taken(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 9_000_000), ("a", 4_000_000), ("0", 2_900_000)])
    assert moments(from_json({"stop": [("a", 30)]}, sft_timestamp_alignment_file=times)) == [("a", 40)]


def test_a_keyframe_beyond_a_clip_s_end_meets_no_other_clip(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 7_000_000), ("a", 20_000_000), ("b", 0), ("b", 100_000)])
    assert moments(from_json({"stop": [("a", 405)]}, sft_timestamp_alignment_file=times)) == [("a", 70)]


def test_keyframes_that_meet_become_one_with_all_their_actions(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 2_500_000), ("b", 0)])
    moved = from_json({"stop": [("a", 30)], "go_straight": [("a", 33)]}, sft_timestamp_alignment_file=times)
    assert moved == [Keyframe("a", 2_500_000, ("stop", "go_straight"))]


def test_keyframes_of_clips_without_times_are_left_out_and_this_is_said(selected, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 2_500_000)])
    said = selected(TWO_CLIPS, sft_timestamp_alignment_file=times).notices
    assert said == [f"{times}: 2 keyframes left out, their clips are not in it"]


def test_keyframes_that_move_far_are_counted(selected, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 0), ("b", 4_500_000)])
    said = selected(TWO_CLIPS, sft_timestamp_alignment_file=times).notices
    assert said == [f"{times}: no time within 1 s before 3 keyframes, each moved to its clip's earliest"]


def test_times_of_other_clips_alone_are_an_error(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("x", 0), ("y", 0)])
    with pytest.raises(CocLabelingError, match=r"t\.parquet: holds times of 2 clips, none of them .* the 4 keyframes"):
        from_json(TWO_CLIPS, sft_timestamp_alignment_file=times)


def test_times_may_come_as_csv(from_json, tmp_path):
    (tmp_path / "t.csv").write_text("clip_id,time_us,more\n007,2500000,x\n007,0,y\n")
    aligned = from_json({"stop": [("007", 30)]}, sft_timestamp_alignment_file=str(tmp_path / "t.csv"))
    assert moments(aligned) == [("007", 25)]


@pytest.mark.parametrize("bad", ["soon", "", "-1", "20000001", "1.5"])
def test_a_csv_row_that_is_no_time_is_named(from_json, tmp_path, bad):
    (tmp_path / "t.csv").write_text(f"clip_id,time_us\na,0\na,{bad}\na,5\n")
    with pytest.raises(CocLabelingError, match=r"t\.csv, row 1: .*found clip_id='a', time_us="):
        from_json(TWO_CLIPS, sft_timestamp_alignment_file=str(tmp_path / "t.csv"))


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_of_times_that_is_neither_parquet_nor_csv_is_named(from_json, tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CocLabelingError, match=f"{name}: expected a (CSV|parquet) file"):
        from_json(TWO_CLIPS, sft_timestamp_alignment_file=str(tmp_path / name))


def test_a_file_of_times_that_is_not_there_is_named(from_json):
    with pytest.raises(CocLabelingError, match=r"/gone\.parquet: no such file .*sft_timestamp_alignment_file"):
        from_json(TWO_CLIPS, sft_timestamp_alignment_file="/gone.parquet")


@pytest.mark.parametrize("columns", [("clip", "time_us"), ("clip_id", "ts")])
def test_a_file_of_times_with_other_columns_is_answered_with_them(from_json, tmp_path, columns):
    times = write_times(tmp_path / "t.parquet", [("a", 0)], columns)
    with pytest.raises(CocLabelingError, match=f"expected a column .*, found {columns[0]}, {columns[1]}"):
        from_json(TWO_CLIPS, sft_timestamp_alignment_file=times)


@given(
    own=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 250)), min_size=1, max_size=12),
    times=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20_000_000)), min_size=1, max_size=12),
)
def test_alignment_does_what_it_says_for_each_keyframe(own, times):
    with TemporaryDirectory() as folder:
        path = write_times(Path(folder, "t.parquet"), times)
        keyframes = [Keyframe(clip_id, frame * 100_000) for clip_id, frame in own]
        expected = set()
        for keyframe in keyframes:
            there = sorted(t for clip_id, t in times if clip_id == keyframe.clip_id)
            near = [t for t in there if 0 <= keyframe.t_us - t <= 1_000_000]
            expected |= {(keyframe.clip_id, near[-1] if near else there[0])} if there else set()
        if not expected:
            return
        aligned, _ = align(keyframes, path)
    assert [(keyframe.clip_id, keyframe.t_us) for keyframe in aligned] == sorted(expected)


def test_alignment_comes_after_the_action_filter_and_before_rounding(from_json, tmp_path):
    times = write_times(tmp_path / "t.parquet", [("a", 2_950_000), ("b", 4_800_000)])
    aligned = from_json(
        TWO_CLIPS,
        meta_action_filter=["stop"],
        sft_timestamp_alignment_file=times,
        round_event_start_frame_interval=10,
        segment_filter_exclude=["b_40"],
    )
    assert aligned == [Keyframe("a", 2_000_000, ("stop",))]
