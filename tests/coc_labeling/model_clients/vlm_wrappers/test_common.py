import asyncio
import contextvars
import threading

import numpy as np
import pytest

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers import BaseWrapper, encode_image

URI = "data:image/jpeg;base64,AAAA"
IMAGE = {"type": "image_url", "image_url": {"url": URI}}


@pytest.fixture
def wrapper():
    return BaseWrapper("mine")


def text(words):
    return {"type": "text", "text": words}


def test_messages(wrapper):
    assert wrapper.add_message("system", "text", "be brief") == {"role": "system", "content": [text("be brief")]}
    assert wrapper.add_message("user", "image", URI) == {"role": "user", "content": [IMAGE]}
    video = wrapper.add_message("user", "video", [URI, ("0.5 s", URI)])
    assert video == {"role": "user", "content": [IMAGE, text("0.5 s"), IMAGE]}


def test_array_of_frames(wrapper):
    parts = wrapper.add_message("user", "video", np.zeros((3, 8, 8, 3), np.uint8))["content"]
    assert [part["image_url"]["url"] for part in parts] == [encode_image(np.zeros((8, 8, 3), np.uint8))] * 3


def test_sequence_joins_a_role(wrapper):
    given = [("system", "a"), ("user", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")]
    messages = wrapper.add_message_seq({"role": role, "m_type": "text", "content": words} for role, words in given)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1]["content"] == [text("b"), text("c")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bot", "text", "x"), "role 'bot'; expected one of: system"),
        (("user", "audio", "x"), "m_type 'audio'; expected one of: text"),
        (("user", "text", 5), "not int"),
        (("user", "video", []), "at least one frame"),
        (("user", "video", "a.mp4"), "list of at least one frame"),
        (("user", "video", [(URI, "a", "b")]), "a pair"),
    ],
)
def test_wrong_messages(wrapper, arguments, words):
    with pytest.raises(CocLabelingError, match=words):
        wrapper.add_message(*arguments)


def test_subclass_with_infer_only():
    class Mine(BaseWrapper):
        def infer(self, messages, **parameters):
            return {"content": len(messages), "seed": parameters["seed"]}

    assert asyncio.run(Mine("mine").ainfer([1, 2], seed=7)) == {"content": 2, "seed": 7}


class Slow(BaseWrapper):
    """As many at once as suit it, or nobody gets on."""

    preferred_in_flight = 12

    def __init__(self, name):
        super().__init__(name)
        self.together = threading.Barrier(self.preferred_in_flight)

    def infer(self, messages, **parameters):
        self.together.wait(10)
        return {"name": threading.current_thread().name, "word": word.get()}


word = contextvars.ContextVar("word", default="")


def test_subclass_with_infer_only_serves_many_at_once():
    wrapper = Slow("slow")

    async def all_of_them():
        word.set("said")
        answers = await asyncio.gather(*(wrapper.ainfer([]) for _ in range(24)))
        await wrapper.aclose()
        return answers

    answers = asyncio.run(all_of_them())
    assert len({answer["name"] for answer in answers}) == 12
    assert {answer["word"] for answer in answers} == {"said"}
    assert len(asyncio.run(all_of_them())) == 24  # closing is not for good
    for thread in threading.enumerate():
        if thread.name.startswith("model-requests_"):
            thread.join(10)
            assert not thread.is_alive()


def test_stop_lets_calls_finish_and_begins_none():
    begun, go_on = threading.Event(), threading.Event()

    class Mine(BaseWrapper):
        preferred_in_flight = 1

        def infer(self, messages, **parameters):
            begun.set()
            return {"done": go_on.wait(10)}

    async def story():
        wrapper = Mine("mine")
        calls = [asyncio.create_task(wrapper.ainfer([])) for _ in range(3)]
        await asyncio.to_thread(begun.wait, 10)
        wrapper.stop()
        go_on.set()
        outcomes = await asyncio.gather(*calls, wrapper.ainfer([]), return_exceptions=True)
        await wrapper.aclose()
        return outcomes

    first, *others = asyncio.run(story())
    assert first == {"done": True}
    assert [getattr(other, "code", other) for other in others] == ["stopped"] * 3


def test_subclass_with_ainfer_only():
    class Mine(BaseWrapper):
        async def ainfer(self, messages, **parameters):
            return {"content": len(messages)}

    assert Mine("mine").infer([1, 2]) == {"content": 2}


def test_subclass_with_nothing(wrapper):
    with pytest.raises(NotImplementedError, match="infer, ainfer nor send"):
        wrapper.infer([])
