import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.model_clients.answers import parse_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=4)
words = st.text(st.characters(exclude_characters="{}[]`<>", exclude_categories=["Cs"]))


@given(objects)
def test_object_alone(value):
    assert parse_json(json.dumps(value)) == value


@given(objects, words, words)
def test_object_with_words_around(value, before, after):
    assert parse_json(before + json.dumps(value) + after) == value


@given(objects, words)
def test_object_in_a_fence(value, before):
    if "```" not in json.dumps(value):
        assert parse_json(f"{before}\n```json\n{json.dumps(value, indent=1)}\n```\nDone {{}}.") == value


@given(objects, st.text())
def test_thinking_is_dropped(value, thought):
    if "</think>" not in json.dumps(value):
        assert parse_json(f"<think>{thought} {{</think>\n\n{json.dumps(value)}") == value


@given(st.text())
def test_any_text_is_survived(text):
    assert parse_json(text) is None or isinstance(parse_json(text), dict)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[1, 2]",
        '[{"a": 1}]',
        '"{}"',
        "keep lane",
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": {"b": 1}, "c": "cut o',
        '{"a": 1} or {"a": 2}',
        '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```',
        '<think>perhaps {"a": 1}',
        '{"a":' * 100_000,
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_anything_else_is_none(text):
    assert parse_json(text) is None


def test_deep_but_whole_does_not_crash():
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert parse_json(deep) is None
    assert parse_json("so: " + deep) is None


def test_last_of_two_equal_keys_wins():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}


def test_thinking_without_its_opening_tag():
    assert parse_json('it is {"a": 0}?</think>{"a": 1}') == {"a": 1}


def test_line_breaks_inside_texts_are_read():
    """Grammars of servers let models write them as they are."""
    assert parse_json('{"a": "one\ntwo\tthree"}') == {"a": "one\ntwo\tthree"}
    assert parse_json('So: {"a": "one\ntwo"}') == {"a": "one\ntwo"}
