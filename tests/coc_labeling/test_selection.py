import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.runs import config, write_keyframes, write_segments
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe
from coc_labeling.selection import select


@pytest.fixture
def from_json(tmp_path):
    def selected(moments: dict, **rules) -> list[Keyframe]:
        path = write_keyframes(tmp_path / "keyframes.json", moments)
        settings = {f"data_loader__keyframe__{key}": value for key, value in rules.items()}
        return select(config(data__segment_config_path=str(path), **settings)).keyframes

    return selected


def from_parquet(*paths, **rules) -> list[Keyframe]:
    settings = {f"data_loader__keyframe__{key}": value for key, value in rules.items()}
    return select(
        config(
            data_loader__keyframe__segment_generator_type="parquet",
            data__segment_list_parquet_file=[str(path) for path in paths],
            **settings,
        )
    ).keyframes


def moments(keyframes: list[Keyframe]) -> list[tuple[str, int]]:
    return [(keyframe.clip_id, keyframe.frame) for keyframe in keyframes]


def notices_of(tmp_path, moments: dict, **settings) -> list[str]:
    path = write_keyframes(tmp_path / "keyframes.json", moments)
    return select(config(data__segment_config_path=str(path), **settings)).notices


def write_ids(path: Path, *clip_ids: str) -> str:
    path.write_text("".join(f"{clip_id}\n" for clip_id in clip_ids))
    return str(path)


WM = "data_loader__keyframe__filter_clip_missing_wm"
TWO_CLIPS = {"stop": [("b", 50), ("a", 30)], "go_straight": [("a", 30), ("a", 33), ("b", 120)]}


def test_keyframes_come_by_clip_and_time(from_json):
    assert moments(from_json(TWO_CLIPS)) == [("a", 30), ("a", 33), ("b", 50), ("b", 120)]


def test_a_moment_counts_once_with_all_its_actions(from_json):
    first = from_json(TWO_CLIPS)[0]
    assert first == Keyframe("a", 3_000_000, ("stop", "go_straight"))


def test_entries_of_older_tools_are_read(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"stop": [{"filename": "a", "start": 30, "end": 60, "action": "stop"}]}))
    assert select(config(data__segment_config_path=str(path))).keyframes == [Keyframe("a", 3_000_000, ("stop",))]


def test_old_and_new_entries_of_one_moment_are_one(tmp_path):
    path = tmp_path / "mixed.json"
    old, new = {"filename": "a", "start": 30}, {"clip_id": "a", "event_start_frame": 30}
    path.write_text(json.dumps({"stop": [old], "go_straight": [new]}))
    assert select(config(data__segment_config_path=str(path))).keyframes == [
        Keyframe("a", 3_000_000, ("stop", "go_straight"))
    ]


def test_only_keyframes_of_the_filtered_actions_are_taken(from_json):
    assert moments(from_json(TWO_CLIPS, meta_action_filter=["stop"])) == [("a", 30), ("b", 50)]


def test_a_filtered_keyframe_tells_only_the_actions_asked_for(from_json):
    assert from_json(TWO_CLIPS, meta_action_filter=["stop"])[0].actions == ("stop",)


def test_an_unknown_action_in_the_filter_lists_the_legal_ones(from_json):
    with pytest.raises(CocLabelingError, match=r"meta_action_filter: .*'fly'.*Legal names: .*gentle_acceleration"):
        from_json(TWO_CLIPS, meta_action_filter=["fly"])


def test_clips_and_moments_can_be_excluded(from_json):
    assert moments(from_json(TWO_CLIPS, segment_filter_exclude=["b", "a_33"])) == [("a", 30)]


def test_clips_and_moments_can_be_included(from_json):
    assert moments(from_json(TWO_CLIPS, segment_filter_include=["b_120", "a"])) == [("a", 30), ("a", 33), ("b", 120)]


def test_what_is_included_and_excluded_is_left_out(from_json):
    kept = from_json(TWO_CLIPS, segment_filter_include=["a"], segment_filter_exclude=["a_30"])
    assert moments(kept) == [("a", 33)]


def test_rounding_moves_back_and_joins_those_that_meet(from_json):
    rounded = from_json(TWO_CLIPS, round_event_start_frame_interval=10)
    assert moments(rounded) == [("a", 30), ("b", 50), ("b", 120)]
    assert rounded[0].actions == ("stop", "go_straight")
    assert moments(from_json({"stop": [("a", 39)]}, round_event_start_frame_interval=20)) == [("a", 20)]


def test_filters_name_the_moments_that_the_records_will_have(from_json):
    kept = from_json(TWO_CLIPS, round_event_start_frame_interval=50, segment_filter_include=["b_100"])
    assert moments(kept) == [("b", 100)]


def test_near_keyframes_of_one_clip_can_be_deduplicated(from_json):
    near = {"stop": [("a", 30), ("a", 34), ("a", 35), ("a", 39), ("b", 36)]}
    assert moments(from_json(near, deduplicate_segments=True)) == [("a", 30), ("a", 35), ("b", 36)]


@pytest.mark.parametrize(
    ("key", "value"),
    [("job_split_id", "a-b"), ("data__segment_config_dir", "/groups"), ("data__data_dir_root", "/groups")],
)
def test_a_configuration_of_several_groups_is_refused(key, value):
    with pytest.raises(CocLabelingError, match=r"one configuration of several groups.*split_jobs"):
        select(config(**{key: value}))


@pytest.mark.parametrize(("key", "value"), [("job_split_id", "a"), ("server_ip", "something")])
def test_keys_that_choose_nothing_here_are_taken(key, value, tmp_path):
    path = write_keyframes(tmp_path / "keyframes.json", TWO_CLIPS)
    assert len(select(config(data__segment_config_path=str(path), **{key: value})).keyframes) == 4


def test_a_keyframe_file_that_is_not_there_is_named():
    with pytest.raises(CocLabelingError, match=r"/nowhere\.json: no such keyframe file"):
        select(config(data__segment_config_path="/nowhere.json"))


def test_a_missing_keyframe_key_is_named():
    with pytest.raises(CocLabelingError, match=r"data\.segment_config_path: required"):
        select(config(data__segment_config_path=None))


def test_a_missing_parquet_key_is_named():
    with pytest.raises(CocLabelingError, match=r"data\.segment_list_parquet_file: required"):
        select(config(data_loader__keyframe__segment_generator_type="parquet"))


def test_segments_come_from_parquet(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["b", "a"], [1_234_567, 0])
    assert from_parquet(path) == [Keyframe("a", 0), Keyframe("b", 1_234_567)]
    assert from_parquet(path)[1].frame == 12


def test_segments_of_several_files_are_joined_and_count_once(tmp_path):
    one = write_segments(tmp_path / "1.parquet", ["a", "b"], [0, 100_000])
    two = write_segments(tmp_path / "2.parquet", ["b", "c"], [100_000, 0])
    assert moments(from_parquet(one, two)) == [("a", 0), ("b", 1), ("c", 0)]


def test_the_columns_may_have_other_names(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a"], [0], columns=("uuid", "ts"))
    own = from_parquet(path, segment_list_parquet_clip_id_column="uuid", segment_list_parquet_timestamp_column="ts")
    assert moments(own) == [("a", 0)]


def test_columns_may_be_candidates(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a"], [0], columns=("uuid", "ts"))
    own = from_parquet(
        path,
        segment_list_parquet_clip_id_column=["clip_id", "uuid"],
        segment_list_parquet_timestamp_column=["ts", "time"],
    )
    assert moments(own) == [("a", 0)]


def test_columns_may_be_a_list_per_file(tmp_path):
    one = write_segments(tmp_path / "1.parquet", ["a"], [0], columns=("uuid", "ts"))
    two = write_segments(tmp_path / "2.parquet", ["b"], [0], columns=("clip", "time"))
    own = from_parquet(
        one,
        two,
        segment_list_parquet_clip_id_column=[["uuid"], ["id", "clip"]],
        segment_list_parquet_timestamp_column=[["ts"], ["time"]],
    )
    assert moments(own) == [("a", 0), ("b", 0)]


def test_a_column_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a"], [0], columns=("uuid", "ts"))
    with pytest.raises(CocLabelingError, match=r"expected a column clip_id, found uuid, ts"):
        from_parquet(path)


@pytest.mark.parametrize("bad", [-1, 20_000_001, 1_753_000_000_000_000, None])
def test_a_time_off_the_clip_s_clock_names_its_row(tmp_path, bad):
    path = write_segments(tmp_path / "s.parquet", ["a", "b"], pa.array([0, bad], pa.int64()))
    with pytest.raises(CocLabelingError, match=r"s\.parquet, row 1: .*clip_id='b', keyframe_range_start_timestamp="):
        from_parquet(path)


@pytest.mark.parametrize("clip_id", [None, ""])
def test_a_segment_without_a_clip_names_its_row(tmp_path, clip_id):
    path = write_segments(tmp_path / "s.parquet", pa.array(["a", clip_id], pa.string()), [0, 0])
    with pytest.raises(CocLabelingError, match="row 1"):
        from_parquet(path)


def test_the_last_moment_of_a_clip_is_on_its_clock(tmp_path):
    assert moments(from_parquet(write_segments(tmp_path / "s.parquet", ["a"], [20_000_000]))) == [("a", 200)]


def test_a_segment_list_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "s.parquet").write_text("clip_id,ts")
    with pytest.raises(CocLabelingError, match=r"s\.parquet: expected a parquet file"):
        from_parquet(tmp_path / "s.parquet")


def test_a_segment_list_that_is_not_there_is_named():
    with pytest.raises(CocLabelingError, match=r"/nowhere\.parquet: no such file"):
        from_parquet("/nowhere.parquet")


def test_a_parquet_list_cannot_be_filtered_by_action(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a"], [0])
    with pytest.raises(CocLabelingError, match="names no meta-actions to filter by"):
        from_parquet(path, meta_action_filter=["stop"])


def test_parquet_segments_are_rounded_filtered_and_deduplicated_too(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a", "a", "b"], [1_900_000, 2_300_000, 0])
    own = from_parquet(path, deduplicate_segments=True, segment_filter_exclude=["b"])
    assert moments(own) == [("a", 19)]
    assert moments(from_parquet(path, round_event_start_frame_interval=5)) == [("a", 15), ("a", 20), ("b", 0)]


def test_an_empty_list_selects_nothing(tmp_path, from_json):
    pq.write_table(
        pa.table({"clip_id": pa.array([], pa.string()), "keyframe_range_start_timestamp": pa.array([], pa.int64())}),
        tmp_path / "s.parquet",
    )
    assert from_parquet(tmp_path / "s.parquet") == []
    assert from_json({"stop": []}) == []


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint32(), pa.uint64(), pa.int16(), pa.float64(), pa.string()])
def test_times_may_be_any_whole_numbers(tmp_path, kind):
    path = write_segments(tmp_path / "s.parquet", ["a", "b"], pa.array([100, 20_000], pa.int64()).cast(kind))
    assert from_parquet(path) == [Keyframe("a", 100), Keyframe("b", 20_000)]
    assert all(type(keyframe.t_us) is int for keyframe in from_parquet(path))


@pytest.mark.parametrize(
    "times",
    [
        pa.array([0, 2**64 - 1], pa.uint64()),
        pa.array([0, 1.5]),
        pa.array([0, float("nan")]),
        pa.array([0, float("inf")]),
        pa.array(["0", "soon"]),
        pa.array(["0", None]),
    ],
)
def test_times_of_other_types_name_the_first_row_that_is_no_time(tmp_path, times):
    path = write_segments(tmp_path / "s.parquet", ["a", "b"], times)
    with pytest.raises(CocLabelingError, match="row 1: "):
        from_parquet(path)


def test_times_that_are_no_numbers_at_all_are_refused(tmp_path):
    path = write_segments(tmp_path / "s.parquet", ["a"], pa.array([5], pa.duration("us")))
    with pytest.raises(CocLabelingError, match="row 0: "):
        from_parquet(path)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()])
def test_clip_ids_may_be_any_texts(tmp_path, kind):
    path = write_segments(tmp_path / "s.parquet", pa.array(["b", "a", "b"]).cast(kind), [0, 0, 100_000])
    assert moments(from_parquet(path)) == [("a", 0), ("b", 0), ("b", 1)]


def test_files_with_columns_of_different_types_are_joined(tmp_path):
    one = write_segments(tmp_path / "1.parquet", pa.array(["a"]).dictionary_encode(), pa.array([0], pa.uint64()))
    two = write_segments(tmp_path / "2.parquet", pa.array(["b"], pa.large_string()), pa.array([0], pa.int32()))
    assert moments(from_parquet(one, two)) == [("a", 0), ("b", 0)]


def test_clip_ids_that_are_numbers_are_refused(tmp_path):
    with pytest.raises(CocLabelingError, match="row 0: expected a legal clip id"):
        from_parquet(write_segments(tmp_path / "s.parquet", [7], [0]))


def test_clips_without_obstacle_files_can_be_left_out(tmp_path):
    listed = write_ids(tmp_path / "wm.txt", "b", "x")
    path = write_keyframes(tmp_path / "keyframes.json", TWO_CLIPS)
    kept = select(config(data__segment_config_path=str(path), data__wm_file_check=listed, **{WM: True}))
    assert moments(kept.keyframes) == [("b", 50), ("b", 120)]
    assert kept.notices == [f"{listed}: 2 keyframes left out, their clips are not in the list (1): a"]


def test_a_list_of_obstacle_files_without_the_filter_has_no_effect_and_this_is_said(tmp_path):
    said = notices_of(tmp_path, TWO_CLIPS, data__wm_file_check="/anything")
    assert said == ["data.wm_file_check: no effect without data_loader.keyframe.filter_clip_missing_wm=true"]


def test_the_filter_without_its_list_is_an_error(from_json):
    with pytest.raises(CocLabelingError, match=r"data\.wm_file_check: required by .*filter_clip_missing_wm"):
        from_json(TWO_CLIPS, filter_clip_missing_wm=True)


def test_a_list_of_obstacle_files_that_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(CocLabelingError, match=r"data\.wm_file_check: .*gone\.txt: expected a text file"):
        notices_of(tmp_path, TWO_CLIPS, data__wm_file_check=str(tmp_path / "gone.txt"), **{WM: True})
    with pytest.raises(CocLabelingError, match=r"data\.wm_file_check: .*wm\.txt: no clip id in it"):
        notices_of(tmp_path, TWO_CLIPS, data__wm_file_check=write_ids(tmp_path / "wm.txt"), **{WM: True})


def test_a_list_that_leaves_nothing_is_an_error_that_says_why(tmp_path):
    listed = write_ids(tmp_path / "wm.txt", "x")
    with pytest.raises(
        CocLabelingError, match=r"none of the 4 .*filter_clip_missing_wm=true.*not in the list .2.: a, b"
    ):
        notices_of(tmp_path, TWO_CLIPS, data__wm_file_check=listed, **{WM: True})


def test_filter_entries_that_name_nothing_are_said(tmp_path):
    rules = {
        "data_loader__keyframe__segment_filter_include": ["a", "b_51", "c"],
        "data_loader__keyframe__segment_filter_exclude": ["a_33", "q1", "q2", "q3", "q4"],
    }
    assert notices_of(tmp_path, TWO_CLIPS, **rules) == [
        "data_loader.keyframe.segment_filter_include: no keyframe is called b_51, c",
        "data_loader.keyframe.segment_filter_exclude: no keyframe is called q1, q2, q3 and 1 more",
    ]


def test_mistyped_filter_entries_that_leave_nothing_are_an_error(from_json):
    with pytest.raises(CocLabelingError, match=r"nothing to label .*no keyframe is called aa"):
        from_json(TWO_CLIPS, segment_filter_include=["aa"])


def test_an_ordinary_selection_has_nothing_to_say(tmp_path):
    assert notices_of(tmp_path, TWO_CLIPS, data_loader__keyframe__segment_filter_exclude=["a"]) == []
