"""What Ctrl-C wants: requests on the wire finish, all others give up at once. Through real sockets and pauses."""

import asyncio
import threading
import time

import pytest

from builders.fake_openai import FakeOpenAI, Ok, Status
from coc_labeling.model_clients.errors import ModelUnreachable
from coc_labeling.model_clients.retrying import StopFlag, Timing
from coc_labeling.model_clients.vlm_wrappers import ModelSettings, create_model_wrapper

MESSAGES = [{"role": "user", "content": "x"}]


def wrapper_of(fake):
    return create_model_wrapper("openai_compatible", settings=ModelSettings(base_url=fake.base_url, model="m"))


@pytest.mark.parametrize("from_thread", [False, True])
def test_sleeping_and_gated_give_up_while_the_wire_finishes(from_thread):
    async def story():
        on_the_wire = asyncio.create_task(wrapper.ainfer(MESSAGES))
        while not fake.in_flight:
            await asyncio.sleep(0.005)
        sleeping = asyncio.create_task(wrapper.ainfer(MESSAGES))
        while wrapper.pool().servers[0].gate._open_at < 0:
            await asyncio.sleep(0.005)
        gated = asyncio.create_task(wrapper.ainfer(MESSAGES))
        await asyncio.sleep(0.05)
        if from_thread:
            await asyncio.to_thread(wrapper.stop)
        else:
            wrapper.stop()
        _, pending = await asyncio.wait([on_the_wire, sleeping, gated], timeout=0.3)
        assert pending == {on_the_wire}
        assert (await on_the_wire)["text"] == "fine"
        with pytest.raises(ModelUnreachable, match="stopped before it was sent"):
            await wrapper.ainfer(MESSAGES)
        with pytest.raises(ModelUnreachable, match="stopped before it was sent"):
            await wrapper.send(wrapper.request(MESSAGES))
        await wrapper.aclose()
        return [task.exception() for task in (sleeping, gated)]

    with FakeOpenAI(script=[Late(1.0), Status(429, headers={"retry-after": "600"})]) as fake:
        wrapper = wrapper_of(fake)
        started = time.perf_counter()
        for error in asyncio.run(story()):
            assert type(error) is ModelUnreachable
            assert (str(error), error.code, error.retryable) == ("stopped before it was sent", "stopped", False)
        assert time.perf_counter() - started < 5
        assert len(fake.requests) == 2


class Late(Ok):
    """An answer that takes a while."""

    def __init__(self, seconds):
        super().__init__("fine")
        self.seconds = seconds

    async def respond(self, request, writer):
        await asyncio.sleep(self.seconds)
        await super().respond(request, writer)


def test_configure_begins_anew(fake):
    wrapper = wrapper_of(fake)
    wrapper.stop()
    with pytest.raises(ModelUnreachable, match="stopped"):
        wrapper.infer(MESSAGES)
    wrapper.configure(wrapper.settings)
    assert wrapper.infer(MESSAGES)["finish_reason"] == "stop"
    wrapper.close()


def test_stop_ends_the_wait_for_a_server_that_is_down():
    with FakeOpenAI() as gone:
        pass
    wrapper = create_model_wrapper("qwen3.5_35b", ip_addr=gone.base_url)
    wrapper.timing = Timing(random=lambda: 1.0)

    async def story():
        waiting = [asyncio.create_task(wrapper.ainfer(MESSAGES)) for _ in range(3)]
        await asyncio.sleep(0.2)
        wrapper.stop()
        done, pending = await asyncio.wait(waiting, timeout=0.5)
        assert not pending
        return [task.exception().code for task in done]

    assert asyncio.run(story()) == ["stopped"] * 3


def test_flag_of_several_loops():
    flag, woken = StopFlag(), []
    timing = Timing(stop=flag)

    def sleeper():
        async def sleep():
            with pytest.raises(ModelUnreachable):
                await timing.pause(600)
            woken.append(threading.get_ident())

        asyncio.run(sleep())

    async def short():
        await timing.pause(0)

    asyncio.run(short())  # leaves a closed loop behind
    threads = [threading.Thread(target=sleeper) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    flag.set()
    for thread in threads:
        thread.join(5)
    assert len(woken) == 3
