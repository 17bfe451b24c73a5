import json
from pathlib import Path

import pyarrow as pa
import pytest

from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import (
    KeyframeRules,
    read_keyframes,
    select_keyframes,
    statistics,
    write_keyframes,
)
from meta_action.names import BY_NAME
from meta_action.timeline_table import SPANS_SCHEMA


def table(*rows: tuple[str, str, int, int]) -> pa.Table:
    """Return spans from (clip, name, start, end)."""
    full = [(clip, BY_NAME[name].axis, name, start, end) for clip, name, start, end in rows]
    return pa.Table.from_pylist([dict(zip(SPANS_SCHEMA.names, row, strict=True)) for row in full], SPANS_SCHEMA)


def chosen(spans: pa.Table, **rules) -> dict[str, list[tuple[str, int, int]]]:
    keyframes = select_keyframes(spans, KeyframeRules(tuple(rules.pop("actions", BY_NAME)), **rules))
    return {k.action: list(zip(k.clip_id, k.start.tolist(), k.end.tolist(), strict=True)) for k in keyframes if len(k)}


@pytest.mark.parametrize(("start", "taken"), [(19, False), (20, True), (135, True), (136, False)])
def test_the_bounds_of_the_start_belong_to_it(start, taken):
    assert bool(chosen(table(("a", "stop", start, 180)))) == taken


@pytest.mark.parametrize(("ticks", "taken"), [(9, False), (10, True)])
def test_the_shortest_duration_belongs_to_it(ticks, taken):
    assert bool(chosen(table(("a", "stop", 30, 30 + ticks)))) == taken


def test_only_the_actions_asked_for_have_a_list():
    keyframes = select_keyframes(table(("a", "stop", 30, 60), ("a", "reverse", 60, 90)), KeyframeRules(("stop",)))
    assert [own.action for own in keyframes] == ["stop"]


def test_actions_are_sorted_by_name_and_entries_keep_their_order():
    spans = table(("b", "stop", 90, 120), ("b", "stop", 30, 60), ("a", "stop", 40, 60), ("a", "go_straight", 30, 60))
    assert list(chosen(spans)) == ["go_straight", "stop"]
    assert chosen(spans)["stop"] == [("b", 90, 120), ("b", 30, 60), ("a", 40, 60)]


def test_above_the_target_the_longest_are_kept_and_equal_ones_in_their_order(tmp_path):
    spans = table(*((f"c{i}", "stop", 30, 30 + ticks) for i, ticks in enumerate([20, 50, 20, 40, 50, 20])))
    keyframes = select_keyframes(spans, KeyframeRules(("stop",)))
    every, sampled = write_keyframes(keyframes, 4, str(tmp_path))
    ids = [[entry["clip_id"] for entry in json.loads(Path(path).read_text())["stop"]] for path in (every, sampled)]
    assert ids == [["c0", "c1", "c2", "c3", "c4", "c5"], ["c1", "c4", "c3", "c0"]]


def test_at_the_target_the_order_is_kept(tmp_path):
    spans = table(("a", "stop", 30, 50), ("b", "stop", 30, 90))
    every, sampled = write_keyframes(select_keyframes(spans, KeyframeRules(("stop",))), 2, str(tmp_path))
    assert Path(every).read_text() == Path(sampled).read_text()


def test_the_files_are_what_json_writes_with_indent_4_and_sorted_keys(tmp_path):
    spans = table(('we"ird\\id', "stop", 30, 50), ("b", "go_straight", 30, 90))
    every, _ = write_keyframes(select_keyframes(spans, KeyframeRules(tuple(BY_NAME))), 99, str(tmp_path))
    text = Path(every).read_text()
    content = json.loads(text)
    assert text == json.dumps(content, indent=4, sort_keys=False)
    assert list(content) == sorted(BY_NAME)
    assert content["reverse"] == []
    assert content["stop"] == [
        {
            "meta_action": "stop",
            "clip_id": 'we"ird\\id',
            "event_start_frame": 30,
            "event_end_frame": 50,
            "duration": 20,
        }
    ]


def test_a_lead_sets_keyframes_earlier_but_never_before_the_clip():
    spans = table(("a", "stop", 30, 60), ("b", "stop", 4, 60))
    assert chosen(spans, lead_ticks=10, min_start_ts=0)["stop"] == [("a", 20, 60), ("b", 0, 60)]


def test_merging_keeps_one_of_near_keyframes_and_of_equal_starts_the_longest():
    spans = table(
        ("a", "stop", 30, 60),
        ("a", "go_straight", 30, 90),
        ("a", "steer_left", 34, 99),
        ("a", "reverse", 35, 60),
        ("b", "stop", 31, 60),
    )
    assert chosen(spans, merge=True) == {
        "go_straight": [("a", 30, 90)],
        "reverse": [("a", 35, 60)],
        "stop": [("b", 31, 60)],
    }


def test_no_spans_have_no_keyframes():
    assert chosen(SPANS_SCHEMA.empty_table()) == {}
    assert chosen(SPANS_SCHEMA.empty_table(), merge=True) == {}


def test_statistics_name_every_action():
    lines = statistics(select_keyframes(table(("a", "stop", 30, 60)), KeyframeRules(tuple(BY_NAME))))
    assert len(lines) == 24
    assert any(line.split() == ["stop", "1", "30.0", "30", "30"] for line in lines)


def write(tmp_path, content: object) -> str:
    path = tmp_path / "keyframes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_what_was_written_is_read_and_one_time_of_a_clip_is_one_keyframe(tmp_path):
    spans = table(("a", "stop", 30, 60), ("a", "go_straight", 30, 90), ("b", "stop", 40, 60))
    every, _ = write_keyframes(select_keyframes(spans, KeyframeRules(tuple(BY_NAME))), 99, str(tmp_path))
    found = [(k.clip_id, k.frame, k.actions) for k in read_keyframes(every)]
    assert found == [("a", 30, ("go_straight", "stop")), ("b", 40, ("stop",))]


def test_older_entries_are_read(tmp_path):
    path = write(tmp_path, {"stop": [{"filename": "a", "start": 30, "end": 60, "action": "stop"}]})
    assert [(k.clip_id, k.frame) for k in read_keyframes(path)] == [("a", 30)]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        "text",
        {"clip_id": "a"},
        {"clip_id": "a", "event_start_frame": -1},
        {"clip_id": "a", "event_start_frame": 1.5},
        {"clip_id": "", "event_start_frame": 1},
        {"clip_id": 7, "event_start_frame": 1},
        {"clip_id": "a", "event_start_frame": float("inf")},
        {"clip_id": "a", "event_start_frame": float("nan")},
    ],
)
def test_an_entry_without_clip_and_frame_is_named(tmp_path, entry):
    good = {"clip_id": "a", "event_start_frame": 1}
    with pytest.raises(CocLabelingError, match=r"keyframes\.json: stop\[1\]: expected clip_id"):
        read_keyframes(write(tmp_path, {"stop": [good, entry]}))


@pytest.mark.parametrize(("content", "said"), [("{", "expected JSON"), ("[]", "found a list"), ('{"stop": 3}', "stop")])
def test_a_file_that_is_none_is_named(tmp_path, content, said):
    with pytest.raises(CocLabelingError, match=rf"keyframes\.json.*{said}"):
        read_keyframes(write(tmp_path, content))


def test_a_missing_file_and_a_folder_say_what_to_do(tmp_path):
    with pytest.raises(CocLabelingError, match="no such keyframe file"):
        read_keyframes(str(tmp_path / "nowhere.json"))
    with pytest.raises(CocLabelingError):
        read_keyframes(str(tmp_path))
