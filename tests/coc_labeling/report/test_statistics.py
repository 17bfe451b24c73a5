import time

import numpy as np
import pyarrow as pa
import pytest

from coc_labeling.report.label_statistics import label_statistics
from coc_labeling.report.runs import LabelRun, MetaActionRun, Run, find_runs
from coc_labeling.report.sample import choose
from coc_labeling.report.span_statistics import span_statistics
from coc_labeling.report.tables import Found
from coc_labeling.results import LABELS_SCHEMA

ROWS = 1_000_000


def lists(values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(np.arange(len(values) + 1, dtype=np.int32), pa.array(values))


@pytest.fixture(scope="module")
def many() -> pa.Table:
    """A million rows without a file behind any of them."""
    random = np.random.default_rng(1)
    status = random.choice(["label", "abstention"], ROWS, p=[0.9, 0.1])
    is_label = status == "label"
    speed = random.choice(["track_speed", "follow_lead", "stop"], ROWS, p=[0.7, 0.25, 0.05])
    cause = np.where(speed == "follow_lead", "critical_object:lead", "unobserved")
    columns = {name: pa.nulls(ROWS, LABELS_SCHEMA.field(name).type) for name in LABELS_SCHEMA.names} | {
        "clip_id": pa.array(np.arange(ROWS) // 3).cast(pa.string()),
        "event_start_timestamp": np.arange(ROWS, dtype=np.int64) % 3 * 1_000_000,
        "status": status,
        "abstention_reason": pa.array(np.where(is_label, "", "no_decision"), mask=is_label),
        "longitudinal": pa.array(speed, mask=~is_label),
        "lateral": pa.array(np.full(ROWS, "keep_lane"), mask=~is_label),
        "longitudinal_causes": lists(cause),
        "lateral_causes": lists(np.full(ROWS, "unobserved")),
        "sentence": pa.array(random.choice([f"Keep {i}" for i in range(1000)], ROWS), mask=~is_label),
    }
    return pa.table(columns).select(LABELS_SCHEMA.names).cast(LABELS_SCHEMA)


def test_a_million_labels(many):
    start = time.process_time()
    found = label_statistics(many)
    assert time.process_time() - start < 5.0
    assert found is not None
    assert found.labels + found.abstentions == ROWS
    assert [row.decision for row in found.longitudinal] == ["track_speed", "follow_lead", "stop"]
    assert sum(row.share for row in found.longitudinal) == pytest.approx(1.0)
    lead = found.longitudinal[1]
    assert (lead.observed, lead.share) == (1.0, pytest.approx(0.25, abs=0.01))
    assert found.observed == lead.count
    assert found.sentences.distinct == 1000
    assert found.sentences.patterns == 1


def test_a_sample_of_a_million_labels(many):
    run = Run("many", "many", "", None, None, LabelRun("many", (), Found((), many)), ())
    start = time.process_time()
    assert len(choose([run], 12)) == 12
    assert time.process_time() - start < 5.0


def test_sentences_and_directions():
    rows = [
        {"status": "label", "lateral": "turn", "direction": side, "sentence": text, "lateral_causes": ["lane"]}
        for side, text in (("left", "Turn 1."), ("left", "Turn 1."), ("right", "Turn 2."), (None, None))
    ]
    found = label_statistics(pa.Table.from_pylist(rows, LABELS_SCHEMA))
    assert found is not None
    assert [(row.decision, row.direction, row.count) for row in found.lateral] == [
        ("turn", "left", 2),
        ("turn", "", 1),
        ("turn", "right", 1),
    ]
    assert [row.decision for row in found.longitudinal] == ["none"]
    assert (found.sentences.count, found.sentences.distinct, found.sentences.patterns) == (3, 2, 1)
    assert found.sentences.top == [("Turn 1.", 2, pytest.approx(2 / 3))]
    assert [(row.cause, row.longitudinal, row.lateral) for row in found.causes] == [("lane", 0, 4)]


def test_spans_in_share_of_the_driven_time():
    clips = pa.table(
        {"clip_id": ["a", "b"], "outcome": ["done", "rejected"], "ticks": pa.array([100, None], pa.int16())}
    )
    spans = pa.table(
        {
            "axis": ["longitudinal", "longitudinal", "lateral"],
            "name": ["stop", "maintain_speed", "go_straight"],
            "start_tick": pa.array([0, 25, 0], pa.int16()),
            "end_tick": pa.array([25, 75, 100], pa.int16()),
        }
    )
    found = span_statistics([MetaActionRun("p", (), Found(("x",), clips), Found(("x",), spans))])
    assert found is not None
    assert [(row.name, row.count, row.share, row.median_sec) for row in found.rows] == [
        ("maintain_speed", 1, pytest.approx(0.5), pytest.approx(5.0)),
        ("stop", 1, pytest.approx(0.25), pytest.approx(2.5)),
        ("go_straight", 1, pytest.approx(1.0), pytest.approx(10.0)),
    ]
    assert list(found.by_axis()) == ["longitudinal", "lateral"]


def test_nothing_to_count(comma):
    assert span_statistics([]) is None
    assert label_statistics(LABELS_SCHEMA.empty_table()) is None
    run = find_runs([str(comma.meta_actions)])[0]
    assert run.meta_actions is not None
    assert span_statistics([run.meta_actions]) is not None
