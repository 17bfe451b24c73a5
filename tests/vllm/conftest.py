"""What the vLLM tests share: tiny checkpoints and real servers."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tiny_models
from serving import VllmServer


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Callable[[str], Path]:
    """Return what gives the folder of a tiny model of a kind, see ``tiny_models.KINDS``."""
    return tiny_models.checkpoint


@pytest.fixture(scope="session")
def _servers(tiny_checkpoint, tmp_path_factory) -> Iterator[Callable[[int], VllmServer]]:
    # Python would end at once, and leave the servers behind.
    earlier = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))
    folder = tmp_path_factory.mktemp("vllm")
    made: dict[int, VllmServer] = {}

    def server(number: int) -> VllmServer:
        if number not in made:
            made[number] = VllmServer(tiny_checkpoint("qwen3_vl"), folder / f"server_{number}.log")
        if not made[number].is_up():  # a test may have killed it, and failed
            made[number].kill()
            made[number].start()
        return made[number]

    yield server
    for one in made.values():
        one.kill()
    signal.signal(signal.SIGTERM, earlier)


@pytest.fixture
def vllm_server(_servers) -> VllmServer:
    """Return the session's server with the tiny Qwen3-VL; it is up."""
    return _servers(1)


@pytest.fixture
def second_server(_servers) -> VllmServer:
    """Return another one with the same model."""
    return _servers(2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of the servers' logs with a test that failed."""
    report = yield
    if report.failed:
        for name in ("vllm_server", "second_server"):
            if isinstance(server := item.funcargs.get(name), VllmServer):
                report.sections.append((f"log of {name}", server.log_end()))
    return report
