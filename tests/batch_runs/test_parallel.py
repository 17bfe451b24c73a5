import multiprocessing
import os
import time

import pytest

from batch_runs.parallel import WorkerDied, map_ordered, stop_workers, useful_workers
from builders.tasks import die_on_deadly, explode, halves, leave_a_trace, tidy, where_am_i


def test_with_one_worker_the_work_is_done_here_and_lazily():
    seen = []
    results = map_ordered(seen.append, iter(range(1000)), 1)
    next(results)
    assert seen == [0]


def test_results_come_in_the_order_of_the_tasks():
    assert list(map_ordered(tidy, range(50), 2)) == [(i, i * i) for i in range(50)]


def test_a_task_that_kills_its_process_costs_only_its_guilty_part():
    tasks = [("a", "b"), ("c", "deadly"), ("d",), ("e", "f")]
    results = list(map_ordered(die_on_deadly, tasks, 2, halves))
    dead = [task for task, result in results if isinstance(result, WorkerDied)]
    assert dead == [("deadly",)]
    alive = [name for task, result in results if not isinstance(result, WorkerDied) for name in result]
    assert sorted(alive) == ["a", "b", "c", "d", "e", "f"]


def test_an_error_of_the_function_itself_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(explode, range(3), 2))


def test_never_more_workers_than_asked_for_or_tasks_and_at_least_one():
    assert useful_workers(1, 100) == 1
    assert useful_workers(8, 1) == 1
    assert useful_workers(8, 0) == 1
    assert useful_workers(2, 100) <= 2


def test_isolated_work_is_done_in_another_process_even_by_one_worker():
    results = list(map_ordered(where_am_i, range(3), 1, isolated=True))
    assert [task for task, _ in results] == [0, 1, 2]
    assert {pid for _, pid in results}.isdisjoint({os.getpid()})


def test_isolated_work_that_kills_its_process_costs_only_itself():
    results = list(map_ordered(die_on_deadly, [("a",), ("deadly",), ("b",)], 1, isolated=True))
    assert [task for task, result in results if isinstance(result, WorkerDied)] == [("deadly",)]
    assert len(results) == 3


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (1, 2), (2, 2)])
def test_no_more_is_begun_than_may_wait(workers, ahead):
    taken = []

    def tasks():
        for number in range(20):
            taken.append(number)
            yield number

    results = map_ordered(tidy, tasks(), workers, isolated=True, ahead=ahead)
    for done in range(1, 6):
        next(results)
        assert len(taken) <= done + workers * ahead
    results.close()
    assert len(taken) <= 5 + workers * ahead


def test_who_stops_taking_results_ends_the_workers_soon(tmp_path):
    results = map_ordered(leave_a_trace, [(str(tmp_path / str(n)), 0.05) for n in range(100)], 2)
    next(results)
    results.close()
    assert len(list(tmp_path.iterdir())) < 20


def test_nothing_to_do_is_done():
    assert list(map_ordered(tidy, [], 2)) == []
    assert list(map_ordered(tidy, [], 1, isolated=True)) == []


def test_stopping_the_workers_leaves_other_processes_alone():
    engine = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,), name="Engine")
    engine.start()
    results = map_ordered(where_am_i, range(4), 1, isolated=True, stopped=lambda: True)
    next(results)
    stop_workers()
    list(results)
    assert engine.is_alive()
    engine.kill()
    engine.join()
