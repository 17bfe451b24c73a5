"""Timelines by clip, from a table of spans."""

import pyarrow as pa

from meta_action.timeline import Span, Timeline
from meta_action.timeline_table import SPANS_SCHEMA, TimelineTable, timelines

ROWS = [
    ("b", "longitudinal", "stop", 0, 20),
    ("a", "longitudinal", "maintain_speed", 0, 30),
    ("a", "lateral", "go_straight", 0, 30),
]
COLUMNS = dict(zip(SPANS_SCHEMA.names, zip(*ROWS, strict=True), strict=True))
TABLE = pa.table({name: list(column) for name, column in COLUMNS.items()}, SPANS_SCHEMA)


def test_a_clip_is_found_by_its_id():
    assert TimelineTable(TABLE)["b"] == Timeline("b", (Span("longitudinal", "stop", 0, 20),))


def test_a_clip_without_spans_is_not_there():
    assert TimelineTable(TABLE).get("c") is None


def test_the_order_is_the_table_s():
    assert [line.clip_id for line in timelines(TABLE)] == ["b", "a"]


def test_an_empty_table_has_no_timelines():
    assert len(TimelineTable(SPANS_SCHEMA.empty_table())) == 0
