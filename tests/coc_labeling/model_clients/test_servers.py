from contextlib import ExitStack
from dataclasses import dataclass

from coc_labeling.model_clients.servers import REMEMBERED_SESSIONS, ServerPool


@dataclass
class Stub:
    name: str
    in_flight: int = 0
    suspect: bool = False
    down_until: float = 0.0


def pool_of(clock, *names):
    return ServerPool([Stub(name) for name in names], clock.timing)


def test_new_sessions_spread_and_old_ones_stay(clock):
    pool = pool_of(clock, "a", "b", "c")
    with ExitStack() as stack:
        first = [stack.enter_context(pool.lend(f"s{i}")).name for i in range(6)]
        assert sorted(first) == ["a", "a", "b", "b", "c", "c"]
        assert [stack.enter_context(pool.lend(f"s{i}")).name for i in range(6)] == first
    assert [server.in_flight for server in pool.servers] == [0, 0, 0]


def test_idle_servers_take_turns(clock):
    pool = pool_of(clock, "a", "b")
    names = []
    for i in range(4):
        with pool.lend(f"s{i}") as server:
            names.append(server.name)
    assert names == ["a", "b", "a", "b"]


def test_down_server_is_left_alone_then_tried_by_one(clock):
    pool = pool_of(clock, "a", "b")
    with pool.lend("s") as bound:
        pass
    other = next(server for server in pool.servers if server is not bound)
    bound.suspect, bound.down_until = True, clock.time + 30
    with ExitStack() as stack:
        assert {stack.enter_context(pool.lend(f"t{i}")).name for i in range(4)} == {other.name}
        assert stack.enter_context(pool.lend("s")) is other
        clock.time += 31
        assert [stack.enter_context(pool.lend(f"u{i}")).name for i in range(3)] == [bound.name, other.name, other.name]
        bound.suspect = False
        assert stack.enter_context(pool.lend("v")) is bound


def test_all_down_asks_the_one_that_was_down_longest(clock):
    pool = pool_of(clock, "a", "b")
    pool.servers[0].down_until, pool.servers[1].down_until = clock.time + 20, clock.time + 10
    with pool.lend(None) as server:
        assert server.name == "b"


def test_memory_is_bounded(clock):
    pool = pool_of(clock, "a", "b")
    for i in range(REMEMBERED_SESSIONS + 50):
        with pool.lend(str(i)):
            pass
    assert len(pool._sessions) == REMEMBERED_SESSIONS
