import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_runs.shards import WHOLE, Shard, parse_shard, shard_of_file
from builders.driving import uuid_like
from driving_clips.errors import DatasetError


@settings(max_examples=30)
@given(st.text(min_size=1), st.integers(1, 20))
def test_every_clip_is_in_exactly_one_shard(clip_id, count):
    assert sum(clip_id in Shard(i, count) for i in range(count)) == 1


def test_shards_are_about_equal():
    sizes = [sum(uuid_like(k) in Shard(i, 4) for k in range(2000)) for i in range(4)]
    assert sum(sizes) == 2000
    assert min(sizes) > 400


def test_shards_are_the_same_on_every_machine():
    assert [k for k in range(20) if f"clip{k}" in Shard(0, 3)] == [0, 1, 6, 8, 10, 12, 14, 15, 16, 17, 18]


@pytest.mark.parametrize(
    ("text", "shard"), [("0/4", Shard(0, 4)), ("3/4", Shard(3, 4)), ("4/4", Shard(0, 4)), (" 1/2 ", Shard(1, 2))]
)
def test_shards_are_read_from_the_command_line(text, shard):
    assert parse_shard(text) == shard


@pytest.mark.parametrize("text", ["", "1", "5/4", "-1/4", "1/0", "0/0", "a/b", "1/4/2", "1.5/4"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(DatasetError, match=r"expected i/n .* for example 0/4"):
        parse_shard(text)


def test_a_shard_s_files_carry_its_number():
    name = f"run_summary{Shard(2, 8).suffix}.json"
    assert name == "run_summary.shard-2-of-8.json"
    assert shard_of_file(name) == Shard(2, 8)
    assert shard_of_file("run_summary.json") is None
    assert WHOLE.suffix == ""
