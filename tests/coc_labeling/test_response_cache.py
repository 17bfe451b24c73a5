import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coc_labeling.response_cache import ResponseCache

KEY = "ab" + "0" * 62
ANSWER = {
    "finish_reason": "stop",
    "content": {"unreadable": False, "effect_on_ego_behavior": "Füßgänger: stop."},
    "text": '{"unreadable": false}',
    "prompt_tokens": 1000,
    "response_tokens": 50,
    "reasoning_tokens": 20,
    "cached_tokens": 200,
    "system_fingerprint": None,
    "model": "fake",
}


@pytest.fixture
def cache(tmp_path) -> ResponseCache:
    return ResponseCache(str(tmp_path / "cache"))


def file_of(tmp_path) -> Path:
    (path,) = (tmp_path / "cache").rglob("*.json")
    return path


def test_what_is_kept_is_given_back(cache):
    cache.put(KEY, ANSWER)
    assert cache.get(KEY) == ANSWER
    assert cache.hits == 1


def test_another_process_finds_it(cache, tmp_path):
    cache.put(KEY, ANSWER)
    assert ResponseCache(str(tmp_path / "cache")).get(KEY) == ANSWER


def test_another_request_has_no_answer(cache):
    cache.put(KEY, ANSWER)
    assert cache.get("ab" + "1" * 62) is None
    assert cache.hits == 0


def test_a_later_answer_replaces_an_earlier_one(cache):
    cache.put(KEY, ANSWER)
    cache.put(KEY, ANSWER | {"text": "other"})
    assert cache.get(KEY)["text"] == "other"


def test_files_lie_in_folders_of_two_letters(cache, tmp_path):
    cache.put(KEY, ANSWER)
    assert file_of(tmp_path).relative_to(tmp_path) == Path("cache", "ab", f"{KEY}.json")


def test_only_the_answer_is_kept(cache, tmp_path):
    cache.put(KEY, ANSWER | {"request": "data:image/jpeg;base64,AAAA", "headers": {"authorization": "secret"}})
    text = file_of(tmp_path).read_text()
    assert "secret" not in text
    assert "data:" not in text
    assert set(json.loads(text)["answer"]) == set(ANSWER)


def test_without_a_folder_nothing_is_kept():
    none = ResponseCache(None)
    none.put(KEY, ANSWER)
    assert none.get(KEY) is None


SPOILT = ["", "{", "null", "[]", "7", '{"version": 1}', '{"version": 1, "answer": []}', '{"version": 99, "answer": {}}']


@pytest.mark.parametrize("content", [*SPOILT, "\0" * 100, "[" * 100_000])
def test_a_spoilt_file_is_no_answer_and_is_replaced(cache, tmp_path, content):
    cache.put(KEY, ANSWER)
    file_of(tmp_path).write_text(content)
    assert cache.get(KEY) is None
    cache.put(KEY, ANSWER)
    assert cache.get(KEY) == ANSWER


def test_a_file_that_is_no_text_is_no_answer(cache, tmp_path):
    cache.put(KEY, ANSWER)
    file_of(tmp_path).write_bytes(b"\xff\xfe\xff")
    assert cache.get(KEY) is None


def test_half_a_file_is_no_answer(cache, tmp_path):
    cache.put(KEY, ANSWER)
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    assert cache.get(KEY) is None


def test_a_folder_in_a_file_s_place_is_no_answer(cache, tmp_path):
    (tmp_path / "cache" / "ab" / f"{KEY}.json").mkdir(parents=True)
    assert cache.get(KEY) is None


def test_a_folder_that_cannot_be_written_is_told_once_and_costs_nothing(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    cache = ResponseCache(str(tmp_path / "cache"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            cache.put(KEY, ANSWER)
            assert cache.get(KEY) is None
    assert len(caplog.records) == 1
    assert "the response cache cannot be written" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_costs_nothing(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    ResponseCache(str(tmp_path / "cache")).put(KEY, ANSWER)


def test_an_answer_that_is_no_json_is_not_kept(cache):
    cache.put(KEY, ANSWER | {"content": {1, 2}})
    assert cache.get(KEY) is None


@settings(max_examples=40)
@given(
    st.text(max_size=40)
    | st.none()
    | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)
)
def test_whatever_was_answered_is_given_back(tmp_path_factory, content):
    cache = ResponseCache(str(tmp_path_factory.mktemp("cache")))
    cache.put(KEY, {"content": content})
    assert cache.get(KEY) == {"content": content}
