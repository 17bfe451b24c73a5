import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coc_labeling.curate.conditions import Condition, day_part, read_conditions
from coc_labeling.errors import CocLabelingError


def write(root, **columns):
    (root / "metadata").mkdir()
    pq.write_table(pa.table(columns), root / "metadata" / "data_collection.parquet")
    return str(root)


def test_country_and_hour_where_the_metadata_have_them(tmp_path):
    root = write(tmp_path, clip_id=["a", "b", "c"], country=["Germany", None, "Japan"], hour_of_day=[3, 12, None])
    found = read_conditions(root, {"a", "b"})
    assert found.of("a") == Condition("Germany", "night")
    assert found.of("b") == Condition("unknown", "midday")
    assert found.of("c") == Condition()  # not asked for


def test_names_stand_on_one_line(tmp_path):
    root = write(tmp_path, clip_id=["a", "b"], country=["South\n Korea", " "])
    found = read_conditions(root, {"a", "b"})
    assert (found.of("a").country, found.of("b").country) == ("South Korea", "unknown")


def test_clips_have_the_condition_of_their_recording(tmp_path):
    root = write(tmp_path, clip_id=["drive"], country=["Canada"])
    assert read_conditions(root, {"drive-20"}).of("drive-20") == Condition("Canada")


def test_without_metadata_all_is_unknown(tmp_path):
    assert read_conditions(str(tmp_path), {"a"}).of("a") == Condition()


def test_ids_may_be_the_index(tmp_path):
    root = write(tmp_path, __index_level_0__=["a"], hour_of_day=[21.0])
    assert read_conditions(root, {"a"}).of("a") == Condition("unknown", "night")


def test_a_file_that_is_none_is_refused_by_name(tmp_path):
    root = write(tmp_path, name=["a"])
    with pytest.raises(CocLabelingError, match=r"data_collection.parquet: expected a parquet file with clip_id"):
        read_conditions(root, {"a"})
    (tmp_path / "metadata" / "data_collection.parquet").write_bytes(b"no parquet")
    with pytest.raises(CocLabelingError, match=r"data_collection.parquet: expected"):
        read_conditions(root, {"a"})


@pytest.mark.parametrize("hour", [-1, 24, "12", None, float("nan"), True])
def test_what_is_no_hour_is_unknown(hour):
    assert day_part(hour) == "unknown"


def test_every_hour_has_its_part():
    parts = [day_part(hour) for hour in range(24)]
    assert [parts.count(part) for part in ("night", "morning", "midday", "evening")] == [8, 5, 6, 5]
