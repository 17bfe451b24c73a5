import pytest

from batch_runs.parallel import WorkerDied, map_ordered, useful_workers
from builders.tasks import die_on_deadly, explode, halves, tidy


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
