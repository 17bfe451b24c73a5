import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.golden import GOLDEN, TRAJECTORY_TEXTS, texts
from meta_action.errors import MetaActionError
from meta_action.names import META_ACTIONS
from meta_action.timeline import Span, from_text, timeline, to_raw_json, to_text


def span(name: str, start: int, end: int) -> Span:
    axis = next(action.axis for action in META_ACTIONS if action.name == name)
    return Span(axis, name, start, end)


any_span = st.builds(
    lambda action, start, length: Span(action.axis, action.name, start, start + length),
    st.sampled_from(META_ACTIONS),
    st.integers(0, 200),
    st.integers(1, 200),
)


@given(st.lists(any_span, unique=True))
def test_a_timeline_survives_the_way_through_its_text(spans):
    labelled = timeline("clip", spans)
    assert from_text("clip", to_text(labelled)) == labelled


@given(st.lists(any_span, unique=True), st.randoms(use_true_random=False))
def test_the_text_does_not_depend_on_the_order_of_the_spans(spans, random):
    unique = {(s.name, s.start): s for s in spans}
    mixed = list(unique.values())
    random.shuffle(mixed)
    assert to_text(timeline("clip", mixed)) == to_text(timeline("clip", unique.values()))


def test_lines_are_by_start_and_name_then_grouped_by_name():
    spans = [span("stop", 50, 60), span("maintain_speed", 0, 50), span("go_straight", 0, 30), span("stop", 20, 25)]
    spans.append(span("go_straight", 40, 50))
    assert to_text(timeline("clip", spans)) == (
        "  GoStraight - Agent:<ego>, Start:0, End:30\n"
        "  GoStraight - Agent:<ego>, Start:40, End:50\n"
        "  MaintainSpeed - Agent:<ego>, Start:0, End:50\n"
        "  Stop - Agent:<ego>, Start:20, End:25\n"
        "  Stop - Agent:<ego>, Start:50, End:60\n"
    )


def test_raw_strings_are_by_the_order_of_the_names_then_by_time():
    labelled = timeline("clip", [span("go_straight", 0, 9), span("stop", 10, 20), span("stop", 0, 5)])
    assert json.loads(to_raw_json(labelled)) == [
        "StopTemporal(ego at 0-5)",
        "StopTemporal(ego at 10-20)",
        "GoStraightTemporal(ego at 0-9)",
    ]


def test_a_timeline_without_spans_has_no_text():
    empty = timeline("clip", [])
    assert to_text(empty) == ""
    assert to_raw_json(empty) == "[]"
    assert from_text("clip", "\n \n") == empty


@pytest.mark.parametrize("clip_id", sorted(texts(TRAJECTORY_TEXTS))[::20])
def test_golden_texts_survive_reading_and_writing(clip_id):
    text = texts(TRAJECTORY_TEXTS)[clip_id]
    assert to_text(from_text(clip_id, text)) == text


@pytest.mark.parametrize("path", sorted((GOLDEN / "segments").glob("*.json")), ids=lambda path: path.stem)
def test_golden_raw_strings(path):
    golden = json.loads(path.read_text())
    labelled = from_text(path.stem, golden["final_text"])
    assert json.loads(to_raw_json(labelled)) == golden["raw_strings"]


def test_old_names_and_cut_agents_are_read():
    old = "KeepSpeed - Agent:<ego>, Start:0, End:5\n  LeftTurn - Agent:ego, Start:5, End:9\r\n"
    assert [s.name for s in from_text("clip", old).spans] == ["maintain_speed", "turn_left"]


@pytest.mark.parametrize(
    "line",
    [
        "Flying - Agent:<ego>, Start:0, End:5",
        "Stop - Agent:<ego>, Start:5, End:5",
        "Stop - Agent:<ego>, Start:9, End:5",
        "Stop - Agent:<ego>, Start:-1, End:5",
        "Stop - Agent:<ego>, Start:0",
        "nonsense",
    ],
)
def test_a_line_that_is_no_span_is_named_with_its_number(line):
    with pytest.raises(MetaActionError, match=r"a\.txt, line 3: expected") as caught:
        from_text("a", f"  Stop - Agent:<ego>, Start:0, End:5\n\n{line}\n", "a.txt")
    assert line.strip() in str(caught.value)


def test_what_holds_at_a_tick_and_what_starts_there():
    labelled = timeline("clip", [span("stop", 10, 20), span("maintain_speed", 20, 30), span("go_straight", 20, 40)])
    assert labelled.at(19) == {"longitudinal": "stop"}
    assert labelled.at(20) == {"longitudinal": "maintain_speed", "lateral": "go_straight"}
    assert labelled.at(40) == {}
    assert {s.name for s in labelled.starting_at(20)} == {"maintain_speed", "go_straight"}
