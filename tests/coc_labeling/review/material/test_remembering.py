import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from coc_labeling.review.material import MaterialError
from coc_labeling.review.material.remembering import RETRY_SEC, Remembered


def test_a_value_is_made_once_by_one_of_many_threads():
    remembered: Remembered[str, object] = Remembered(4)
    made, gate = [], threading.Event()

    def make() -> object:
        gate.wait(5)
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(remembered.get, "a", make) for _ in range(8)]
        gate.set()
        assert {one.result() for one in asked} == set(made)
    assert len(made) == 1


def test_only_the_last_ones_are_kept():
    remembered: Remembered[int, int] = Remembered(2)
    made = []

    def make(key: int) -> int:
        made.append(key)
        return key

    for key in (1, 2, 1, 3, 1, 2):
        assert remembered.get(key, lambda key=key: make(key)) == key
    assert made == [1, 2, 3, 2]


def test_a_failure_is_told_again_for_a_while_then_tried_anew():
    now = [0.0]
    remembered: Remembered[str, str] = Remembered(2, lambda: now[0])
    tries = []

    def fail() -> str:
        tries.append(now[0])
        raise MaterialError("no video")

    for _ in range(3):
        with pytest.raises(MaterialError, match="no video"):
            remembered.get("a", fail)
    assert tries == [0.0]
    now[0] = RETRY_SEC
    assert remembered.get("a", lambda: "here") == "here"
    now[0] = 10 * RETRY_SEC
    assert remembered.get("a", fail) == "here"


def test_a_bug_is_not_remembered_and_nobody_waits_for_ever():
    remembered: Remembered[str, int] = Remembered(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered.get("a", lambda: 1 // 0)
    assert remembered.get("a", lambda: 1) == 1
    remembered.forget("a")
    assert remembered.get("a", lambda: 2) == 2
