"""Step 1 over the real drives of demo_data."""

import io
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders.commands import autolabel, labels, summary
from builders.golden import DEMO

ROUTE = "b0c9d2329ad1606b_2018-08-02--08-34-47"


@pytest.fixture(scope="module")
def boreas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boreas")
    assert autolabel(DEMO / "boreas", folder, dataset="boreas") == 0
    return folder


def test_boreas_drives_are_cut_and_labelled(boreas):
    written = summary(boreas)
    assert written["counts"]["done"] > 100
    assert written["counts"]["failed"] == 0
    assert written["reasons"]["rejected"] == {"hole": 1}  # 0.85 s without poses in the second drive


def test_a_city_drive_has_every_everyday_action(boreas):
    spans = summary(boreas)["spans"]
    everyday = "gentle_acceleration gentle_deceleration maintain_speed stop steer_left steer_right go_straight"
    assert all(spans[name] > 10 for name in everyday.split())
    assert spans.get("reverse", 0) == 0


def test_every_clip_of_a_drive_is_labelled_from_end_to_end(boreas):
    rows = pq.read_table(boreas / "meta_actions.parquet", filters=[("axis", "=", "longitudinal")]).to_pylist()
    ends: dict[str, int] = {}
    for row in rows:
        ends[row["clip_id"]] = max(ends.get(row["clip_id"], 0), row["end_tick"])
    assert sorted(ends.values())[2] == 200  # all but the last clip of each drive are full


def test_a_highway_minute_is_fast_and_straight(tmp_path):
    assert autolabel(DEMO / "comma2k19", tmp_path, dataset="comma2k19") == 0
    assert summary(tmp_path)["counts"]["done"] == 3
    assert "stop" not in summary(tmp_path)["spans"]


def test_a_segment_whose_speed_was_replaced_is_labelled_again(tmp_path):
    shutil.copytree(DEMO / "comma2k19" / ROUTE, tmp_path / "data" / ROUTE)
    autolabel(tmp_path / "data", tmp_path / "out", dataset="comma2k19")
    path = tmp_path / "data" / ROUTE / "40" / "processed_log" / "CAN" / "speed" / "value"
    speed = np.load(io.BytesIO(path.read_bytes()))
    with path.open("wb") as file:
        np.save(file, speed * np.linspace(1.0, 0.2, len(speed)).reshape(speed.shape[0], *[1] * (speed.ndim - 1)))
    autolabel(tmp_path / "data", tmp_path / "out", dataset="comma2k19")
    autolabel(tmp_path / "data", tmp_path / "fresh", dataset="comma2k19")
    assert labels(tmp_path / "out") == labels(tmp_path / "fresh")
