import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_runs.journal import Journal

SCHEMA = pa.schema([("key", pa.string()), ("value", pa.int64())])


def batch(**rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"key": key, "value": value} for key, value in rows.items()], SCHEMA)


@pytest.fixture
def journal(tmp_path):
    own = Journal(str(tmp_path), SCHEMA, ["key"])
    yield own
    own.close()


def rows(journal: Journal) -> dict[str, int]:
    table = journal.read()
    return dict(zip(*table.to_pydict().values(), strict=True))


def parts(folder) -> list:
    return sorted(folder.glob("*.arrows"))


def test_rows_are_read_in_the_order_they_were_added(journal):
    journal.append(batch(b=1))
    journal.append(batch(a=2, c=3))
    assert list(rows(journal).items()) == [("b", 1), ("a", 2), ("c", 3)]


def test_the_last_row_of_a_key_counts(journal):
    journal.append(batch(a=1, b=2))
    journal.append(batch(a=3))
    assert rows(journal) == {"b": 2, "a": 3}


def test_an_empty_journal_has_no_rows(journal):
    assert journal.is_empty()
    assert journal.read().schema == SCHEMA


def test_rows_are_on_disk_before_the_journal_is_closed(journal, tmp_path):
    journal.append(batch(a=1))
    journal.append(batch(b=2))
    assert rows(Journal(str(tmp_path), SCHEMA, ["key"])) == {"a": 1, "b": 2}


def test_another_process_s_rows_come_after_and_replace(tmp_path):
    for value in (1, 2):
        own = Journal(str(tmp_path), SCHEMA, ["key"])
        own.append(batch(a=value))
        own.close()
    assert len(parts(tmp_path)) == 2
    assert rows(own) == {"a": 2}


def test_the_tenth_part_comes_after_the_ninth(tmp_path):
    for value in range(11):
        own = Journal(str(tmp_path), SCHEMA, ["key"])
        own.append(batch(a=value))
        own.close()
    assert rows(own) == {"a": 10}


def test_appending_goes_on_after_reading(journal):
    journal.append(batch(a=1))
    assert rows(journal) == {"a": 1}
    journal.append(batch(b=2))
    assert rows(journal) == {"a": 1, "b": 2}


def test_a_cleared_journal_is_empty_and_can_be_used_again(journal):
    journal.append(batch(a=1))
    journal.clear()
    assert journal.is_empty()
    journal.append(batch(b=2))
    assert rows(journal) == {"b": 2}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_wherever_the_file_is_torn_the_whole_batches_before_are_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("torn")
    own = Journal(str(folder), SCHEMA, ["key"])
    ends = []
    for number in range(4):
        own.append(batch(**{f"k{number}": number}))
        ends.append(parts(folder)[0].stat().st_size)
    own.close()
    (part,) = parts(folder)
    content = part.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    part.write_bytes(content[:cut])
    assert len(rows(own)) >= sum(end <= cut for end in ends)
    assert list(rows(own).values()) == list(range(len(rows(own))))


@pytest.mark.parametrize("content", [b"", b"not arrow", b"\xff" * 64, b"\0" * 64])
def test_a_part_that_is_no_stream_is_left_out(journal, tmp_path, content):
    journal.append(batch(a=1))
    journal.close()
    (tmp_path / "2.arrows").write_bytes(content)
    assert rows(journal) == {"a": 1}


def test_a_torn_part_is_not_appended_to(journal, tmp_path):
    journal.append(batch(a=1))
    journal.close()
    (part,) = parts(tmp_path)
    part.write_bytes(part.read_bytes()[:-20])
    other = Journal(str(tmp_path), SCHEMA, ["key"])
    other.append(batch(b=2))
    assert rows(other)["b"] == 2
