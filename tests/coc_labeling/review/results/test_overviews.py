import threading
import time

import pytest

from builders.reviews import filled, review
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.results.overviews import PATIENCE_SEC, Overviews
from coc_labeling.review.results.statistics import overview


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path))
    yield store
    store.close()


@pytest.fixture
def opened(store):
    made = []

    def open_overviews(count=overview):
        made.append(Overviews(store, count))
        return made[-1]

    yield open_overviews
    for one in made:
        one.close()


def test_the_same_reviews_are_counted_once_and_a_step_gives_new_numbers(store, opened):
    overviews = opened()
    first = overviews.look()
    assert overviews.look().numbers is first.numbers
    for done in range(1, 4):
        review(store, next_task(store, "ann"), "ann")
        look = overviews.look()
        assert (look.older, look.numbers.totals.reviewed) == (None, done)


def test_where_counting_takes_long_who_looks_gets_older_numbers_at_once(store, opened):
    released = threading.Event()
    released.set()

    def slowly(store):
        time.sleep(2 * PATIENCE_SEC)
        assert released.wait(10)
        return overview(store)

    overviews = opened(slowly)
    overviews.begin()
    assert overviews.look().older is None  # waits for the first ones
    released.clear()
    review(store, next_task(store, "ann"), "ann")
    began = time.perf_counter()
    looks = [overviews.look() for _ in range(5)]
    assert time.perf_counter() - began < 2 * PATIENCE_SEC
    assert all(look.older and look.numbers.totals.reviewed == 0 for look in looks)
    released.set()
    ends = time.monotonic() + 10
    while (look := overviews.look()).older and time.monotonic() < ends:
        time.sleep(0.02)
    assert (look.older, look.numbers.totals.reviewed) == (None, 1)


def test_many_who_look_at_once_wait_for_one_count(store, opened):
    counts = []
    overviews = opened(lambda store: (counts.append(1), time.sleep(0.05), overview(store))[2])
    threads = [threading.Thread(target=overviews.look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 1


def test_what_cannot_be_counted_is_told_and_tried_again(opened):
    failures = [ReviewError("the disk is full")]

    def count(store):
        if failures:
            raise failures.pop()
        return overview(store)

    overviews = opened(count)
    with pytest.raises(ReviewError, match="disk is full"):
        overviews.look()
    assert overviews.look().numbers.totals.reviewed == 0
