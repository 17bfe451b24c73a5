import pyarrow as pa
import pytest

from batch_runs.journal import Journal

SCHEMA = pa.schema([("clip_id", pa.string()), ("frame", pa.int64()), ("note", pa.string())])


def journal(folder) -> Journal:
    return Journal(str(folder), SCHEMA, ["clip_id", "frame"])


def rows(*keys: tuple[str, int], note: str = "") -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"clip_id": c, "frame": f, "note": note} for c, f in keys], SCHEMA)


def keys(table: pa.Table) -> list[tuple[str, int]]:
    return [(row["clip_id"], row["frame"]) for row in table.to_pylist()]


def test_rows_come_back_in_the_order_they_were_added(tmp_path):
    own = journal(tmp_path)
    own.append(rows(("b", 1), ("a", 2)))
    own.append(rows(("a", 1)))
    assert keys(own.read()) == [("b", 1), ("a", 2), ("a", 1)]


def test_the_last_row_of_a_key_counts(tmp_path):
    own = journal(tmp_path)
    own.append(rows(("a", 1), ("b", 1), note="old"))
    own.append(rows(("a", 1), note="new"))
    assert [row["note"] for row in own.read().to_pylist()] == ["old", "new"]


@pytest.mark.parametrize("lost", [1, 30, 200, 10_000])
def test_a_torn_end_costs_only_the_rows_it_tears(tmp_path, lost):
    own = journal(tmp_path)
    for i in range(5):
        own.append(rows((f"clip{i}", i)))
    own.close()
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()[:-8]  # the end mark, which a killed run cannot write
    path.write_bytes(content[: max(0, len(content) - lost)])
    found = keys(journal(tmp_path).read())
    assert found == [(f"clip{i}", i) for i in range(len(found))]
    assert len(found) == (4 if lost < 100 else len(found))
    assert len(found) < 5


def test_rows_are_with_the_operating_system_once_they_are_added(tmp_path):
    own = journal(tmp_path)
    own.append(rows(("a", 1)))
    assert keys(journal(tmp_path).read()) == [("a", 1)]  # read by another process while this one is alive


def test_a_new_process_goes_on_in_a_new_part(tmp_path):
    first = journal(tmp_path)
    first.append(rows(("a", 1)))
    for i in range(12):
        following = journal(tmp_path)
        following.append(rows(("b", i)))
        following.close()
    assert keys(journal(tmp_path).read()) == [("a", 1), *(("b", i) for i in range(12))]


def test_a_cleared_journal_is_empty_and_can_be_added_to(tmp_path):
    own = journal(tmp_path)
    assert own.is_empty()
    own.append(rows(("a", 1)))
    assert not own.is_empty()
    own.clear()
    assert own.is_empty()
    assert own.read().num_rows == 0
    own.append(rows(("b", 1)))
    assert keys(own.read()) == [("b", 1)]
