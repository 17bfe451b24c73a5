import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driving_clips.datasets import open_dataset
from driving_clips.driving_sides import driving_side_of
from driving_clips.trajectories import TrajectoryLoader


@pytest.mark.parametrize("country", ["Japan", "JP", "united kingdom", "United_Kingdom", "gb", "Hong Kong", "AUS", "UK"])
def test_traffic_keeps_left(country):
    assert driving_side_of(country) == "left"


@pytest.mark.parametrize("country", ["Germany", "DE", "United States", "USA", "United Arab Emirates", "", "?"])
def test_traffic_keeps_right(country):
    assert driving_side_of(country) == "right"


def pai(tmp_path, table: pa.Table | None):
    if table is not None:
        (tmp_path / "metadata").mkdir()
        pq.write_table(table, tmp_path / "metadata" / "data_collection.parquet")
    return open_dataset("pai", str(tmp_path))


def test_pai_says_it_by_the_clip_s_country(tmp_path):
    dataset = pai(tmp_path, pa.table({"clip_id": ["a", "b", "c"], "country": ["Japan", "Germany", None]}))
    assert [dataset.driving_side(clip) for clip in "abcd"] == ["left", "right", None, None]


def test_what_is_configured_comes_first(tmp_path):
    dataset = pai(tmp_path, pa.table({"clip_id": ["a"], "country": ["Japan"]}))
    assert TrajectoryLoader(dataset, driving_side="right").driving_side("a") == "right"
    assert TrajectoryLoader(dataset).driving_side("a") == "left"
    assert TrajectoryLoader(dataset).driving_side("unknown") is None


def test_metadata_of_another_form_is_said_and_ignored(tmp_path, caplog):
    dataset = pai(tmp_path, pa.table({"clip_id": ["a"], "land": ["Japan"]}))
    with caplog.at_level(logging.WARNING):
        assert dataset.driving_side("a") is None
    assert "data_collection.parquet: expected columns clip_id and country" in caplog.text


def test_without_metadata_nobody_says_it(tmp_path):
    assert pai(tmp_path, None).driving_side("a") is None
