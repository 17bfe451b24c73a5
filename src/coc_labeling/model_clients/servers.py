"""Which of several servers takes a request."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from coc_labeling.model_clients.retrying import Timing

REMEMBERED_SESSIONS = 10_000


class Lendable(Protocol):
    """A server, or an engine inside this process.

    Attributes:
        in_flight: requests that it has.
        down_until: when it may be asked again, in s of the pool's clock.
        suspect: whether it failed the last time.
    """

    in_flight: int
    down_until: float
    suspect: bool


T = TypeVar("T", bound=Lendable)


class ServerPool(Generic[T]):
    """Servers of the same model: a session stays with its server, a new one goes where the fewest requests are.

    Of several with as few it takes the one that was chosen longest ago.

    Args:
        servers: one or several.
        timing: the clock.
    """

    def __init__(self, servers: Sequence[T], timing: Timing) -> None:
        self.servers = tuple(servers)
        self._turns = list(servers)  # who was chosen longest ago comes first
        self._timing = timing
        self._sessions: OrderedDict[str, T] = OrderedDict()

    @contextmanager
    def lend(self, session: str | None) -> Iterator[T]:
        """Give the server for one attempt and count it as loaded until the end."""
        server = self._pick(session)
        server.in_flight += 1
        try:
            yield server
        finally:
            server.in_flight -= 1

    def _pick(self, session: str | None) -> T:
        bound = self._sessions.get(session) if session is not None else None
        # A session whose server is gone moves: its caches are lost anyway, and its answer need not be.
        server = bound if bound is not None and self._usable(bound) else self._choose()
        if session is not None:
            self._sessions[session] = server
            self._sessions.move_to_end(session)
            if len(self._sessions) > REMEMBERED_SESSIONS:
                self._sessions.popitem(last=False)
        return server

    def _usable(self, server: T) -> bool:
        # Of a server that was down, one request finds out whether it is back, not a crowd of them.
        return self._timing.now() >= server.down_until and not (server.suspect and server.in_flight)

    def _choose(self) -> T:
        usable = [server for server in self._turns if self._usable(server)]
        if usable:
            chosen = min(usable, key=lambda server: server.in_flight)
        else:
            chosen = min(self._turns, key=lambda server: server.down_until)
        self._turns = [*(server for server in self._turns if server is not chosen), chosen]
        return chosen
