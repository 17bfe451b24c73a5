import csv
import json
import shutil

import pyarrow.parquet as pq
import pytest

from builders.agreed import People, decision, write_run
from coc_labeling.agreement.comparing import (
    ALL_DECISIONS,
    DIRECTION,
    KINDS,
    LATERAL_DIRECTED,
    SAME_DECISION,
    TRACKS,
    CompareOptions,
    compare,
)
from coc_labeling.agreement.decided import Channel, State
from coc_labeling.agreement.output import as_dict, write_json, write_pairs
from coc_labeling.agreement.runs import RunSide
from coc_labeling.errors import CocLabelingError
from coc_labeling.records import from_yaml, to_yaml
from coc_labeling.results import LABELS, ExperimentFolder
from coc_labeling.schema import abstain, released_content

LEFT = decision("follow_lead", "turn", "left", ("lead@7", "crossing"), "Turn left behind the lead vehicle.")
RIGHT = decision("follow_lead", "turn", "right", ("lead@7",), "Turn right behind the lead vehicle.")
STOP = decision("stop", "keep_lane", None, (), "Stop; nothing is in sight.")
ABSTAINED = abstain("no_decision", "reverse")
OPTIONS = CompareOptions(resamples=100)

A = {("x", 1_000_000): LEFT, ("x", 3_000_000): STOP, ("y", 1_000_000): STOP, ("y", 2_000_000): ABSTAINED}
B = {("x", 1_000_000): RIGHT, ("x", 3_000_000): STOP, ("y", 1_000_000): LEFT, ("z", 0): STOP, ("y", 2_000_000): STOP}


@pytest.fixture
def runs(tmp_path):
    return write_run(tmp_path / "a", A), write_run(tmp_path / "b", B)


def compared(a, b, options=OPTIONS):
    return compare(RunSide(str(a), "a"), RunSide(str(b), "b"), options)


def test_channels_directions_and_causes_of_two_runs(runs):
    found = compared(*runs)
    assert (len(found.pairing), len(found.compared)) == (4, 3)
    assert found.pairing.states[State.ABSTAINED, State.DECIDED] == 1
    raw = {name: (one.raw.value, one.raw.n) for name, one in found.agreements.items()}
    assert raw == {
        "longitudinal": (pytest.approx(2 / 3), 3),
        "lateral": (pytest.approx(2 / 3), 3),
        LATERAL_DIRECTED: (pytest.approx(1 / 3), 3),
        DIRECTION: (0.0, 1),
    }
    speed, lane = (found.causes[channel] for channel in Channel)
    assert speed[SAME_DECISION][KINDS].jaccard.value == 0.5  # lead of lead and crossing; the other pair names none
    assert speed[SAME_DECISION][KINDS].neither == 1
    assert speed[SAME_DECISION][TRACKS].exact.value == 1.0
    assert speed[ALL_DECISIONS][KINDS].jaccard.value == 0.25
    assert lane[SAME_DECISION][KINDS].jaccard.n == 0  # left and right are not the same


def test_examples_show_both_sides(runs):
    found = compared(*runs)
    assert {(e.channel, e.said_a, e.said_b) for e in found.examples} == {
        ("lateral", "turn left", "turn right"),
        ("lateral", "keep_lane", "turn left"),
        ("longitudinal", "stop", "follow_lead"),
    }
    turned = next(e for e in found.examples if e.said_b == "turn right")
    assert (turned.clip_id, turned.t_us_a, turned.times) == ("x", 1_000_000, 1)
    assert (turned.sentence_a, turned.sentence_b) == (LEFT.effect_on_ego_behavior, RIGHT.effect_on_ego_behavior)
    assert turned.causes_a == ("critical_object:lead", "critical_object:crossing")
    assert compared(*runs, CompareOptions(resamples=100, examples=1)).examples == found.examples[:1]


def test_people_take_the_place_of_a_run(runs):
    found = compare(RunSide(str(runs[0]), "a"), People(B), OPTIONS)
    two_runs = compared(*runs)
    for name, one in found.agreements.items():
        assert one.as_dict() == two_runs.agreements[name].as_dict()
    assert [e.as_dict() for e in found.examples] == [e.as_dict() for e in two_runs.examples]
    assert as_dict(found)["b"]["reviews"] == "reviews.sqlite"


def test_a_run_agrees_with_its_copy(runs, tmp_path):
    found = compared(runs[1], shutil.copytree(runs[1], tmp_path / "copy"))
    assert {one.kappa.value for name, one in found.agreements.items() if name != DIRECTION} == {1.0}
    assert not found.examples


def test_tolerance_pairs_keyframes_that_are_apart(runs, tmp_path):
    late = write_run(tmp_path / "late", {(clip, t + 150_000): label for (clip, t), label in A.items()})
    with pytest.raises(CocLabelingError, match=r"no moment in common.*2 clips.*--tolerance.*1000000 us and 1150000 us"):
        compared(runs[0], late)
    found = compared(runs[0], late, CompareOptions(tolerance_ticks=2, resamples=100))
    assert len(found.pairing) == 4
    assert set(found.pairing.apart_us.tolist()) == {150_000}


def edit(run, moment, label):
    path = run / moment[0] / f"cot_{moment[1]}.yaml"
    changes = {"label": label, "final_content": released_content(label)}
    path.write_text(to_yaml(from_yaml(path.read_text(), "file").model_copy(update=changes)))


def test_records_are_compared_as_they_are_now(runs):
    edit(runs[1], ("x", 1_000_000), LEFT)
    found = compared(*runs)
    assert found.agreements[DIRECTION].raw.value == 1.0
    assert not found.notices


def test_unreadable_records_are_counted_and_said(runs):
    (runs[1] / "x" / "cot_1000000.yaml").write_text("results: [")
    found = compared(*runs)
    assert found.pairing.states[State.DECIDED, State.UNREADABLE] == 1
    assert len(found.compared) == 2
    assert "1 records cannot be read" in found.notices[0]
    assert "cot_1000000.yaml" in found.notices[0]


def test_labels_whose_files_are_gone_are_compared_by_the_table(runs):
    shutil.rmtree(runs[0] / "x")
    found = compared(*runs)
    assert len(found.compared) == 3
    turned = next(e for e in found.examples if e.said_b == "turn right")
    assert turned.sentence_a == LEFT.effect_on_ego_behavior


def test_shards_and_folders_without_a_table_are_read(runs, tmp_path):
    whole = compared(*runs)
    table = pq.read_table(runs[1] / LABELS)
    (runs[1] / LABELS).unlink()
    assert as_dict(compared(*runs))["agreement"] == as_dict(whole)["agreement"]
    for index in range(2):
        pq.write_table(table.slice(index * 2, 2 + index), runs[1] / f"labels.shard-0000{index}-of-00002.parquet")
    assert as_dict(compared(*runs))["agreement"] == as_dict(whole)["agreement"]


def test_a_clip_id_that_is_a_path_is_not_followed(runs, tmp_path):
    (tmp_path / "cot_1000000.yaml").write_text((runs[0] / "x" / "cot_1000000.yaml").read_text())
    table = pq.read_table(runs[1] / LABELS)
    rows = table.to_pylist()
    rows[0]["clip_id"] = ".."
    ExperimentFolder(str(runs[1])).write_table([table.from_pylist(rows, table.schema)])
    found = compared(*runs)
    assert "'..' is no clip id" in found.notices[0]
    assert found.pairing.unpaired_b[State.UNREADABLE] == 1


@pytest.mark.parametrize(
    ("b", "message"),
    [
        ({("other", 0): STOP}, "no clip in common: a has 4 moments, b 1, such as x at 1000000 us"),
        ({("x", 1_000_000): decision()}, "on both sides .1 pairs: decided in a, a sentence"),
        ({}, "b: no labels in it"),
    ],
)
def test_nothing_to_compare_is_an_error(tmp_path, b, message):
    with pytest.raises(CocLabelingError, match=message):
        compared(write_run(tmp_path / "a", A), write_run(tmp_path / "b", b))


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_damaged_table_is_named(runs, content):
    (runs[1] / LABELS).write_bytes(content)
    with pytest.raises(CocLabelingError, match=r"b/labels.parquet: expected a table of labels"):
        compared(*runs)


@pytest.mark.parametrize("name", ["clip_id", "event_start_timestamp"])
def test_rows_without_a_moment_are_refused(runs, name):
    table = pq.read_table(runs[1] / LABELS)
    rows = table.to_pylist()
    rows[1][name] = None
    pq.write_table(table.from_pylist(rows, table.schema), runs[1] / LABELS)
    with pytest.raises(CocLabelingError, match="in every row, found rows without"):
        compared(*runs)


def test_the_table_of_an_older_version_is_read_with_its_records(runs):
    whole = as_dict(compared(*runs))
    pq.write_table(pq.read_table(runs[1] / LABELS).drop_columns(["label", "model"]), runs[1] / LABELS)
    assert as_dict(compared(*runs))["agreement"] == whole["agreement"]


def test_the_files_hold_what_was_measured(runs, tmp_path):
    found = compared(*runs)
    write_json(found, str(tmp_path / "out" / "agreement.json"))
    content = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert content == as_dict(found)
    assert content["a"]["unpaired"] == 0
    assert content["b"]["unpaired_by_state"]["decided"] == 1
    assert content["b"]["clips_of_this_side_alone"] == 1
    assert content["agreement"]["lateral"]["cohens_kappa"]["n"] == 3
    write_pairs(found, str(tmp_path / "out" / "pairs.csv"))
    with (tmp_path / "out" / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert rows[0] == {
        "clip_id": "x",
        "event_start_timestamp_a": "1000000",
        "state_a": "decided",
        "longitudinal_a": "follow_lead",
        "lateral_a": "turn",
        "direction_a": "left",
        "longitudinal_causes_a": "critical_object:lead critical_object:crossing",
        "lateral_causes_a": "critical_object:lead critical_object:crossing",
        "event_start_timestamp_b": "1000000",
        "state_b": "decided",
        "longitudinal_b": "follow_lead",
        "lateral_b": "turn",
        "direction_b": "right",
        "longitudinal_causes_b": "critical_object:lead",
        "lateral_causes_b": "critical_object:lead",
    }
    assert [row["state_a"] for row in rows].count("abstained") == 1
