import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import answer, frames_of, structured, window
from coc_labeling.agents.answers import SentenceAnswer, StructuredAnswer
from coc_labeling.asking import Asker, request_hash
from coc_labeling.budget import Budget, BudgetReachedError
from coc_labeling.conversation import MAX_KEPT_CHARS, Part
from coc_labeling.events import EventLog
from coc_labeling.model_clients.errors import ModelError, ModelUnreachable, RequestRefused
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper
from coc_labeling.model_clients.vlm_wrappers.dummy import DummyWrapper
from coc_labeling.response_cache import ResponseCache
from coc_labeling.schema import Usage

SAMPLING = {"temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 0}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
PARTS = [Part("system", "You label."), Part("user", "# Meta-actions"), Part("user", "# Frames")]
USED = {"prompt_tokens": 100, "response_tokens": 10, "reasoning_tokens": 5, "cached_tokens": 50}


class Scripted(BaseWrapper):
    """Gives the answers of a list, in turn."""

    needs_frames = False

    def __init__(self, *answers) -> None:
        super().__init__("scripted")
        self.answers = list(answers)
        self.bodies: list[dict] = []
        self.prepared = 0

    async def prepare(self) -> None:
        self.prepared += 1

    async def send(self, body, json_schema=None, *, session=None):
        self.bodies.append(body)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def asker_of(wrapper, tmp_path=None, budget=None, threads=None, events=None) -> Asker:
    cache = ResponseCache(str(tmp_path / "cache") if tmp_path else None)
    return Asker(wrapper, SAMPLING, cache, budget or Budget(), events or EventLog(None), threads)


def ask_once(asker: Asker, purpose: str = "label", parts=PARTS, form=StructuredAnswer, max_tokens: int = 100):
    about = asker.about("clip", 5_000_000)
    return asyncio.run(about(purpose, parts, form, max_tokens)), about


def test_an_answer_is_given_as_it_came_and_the_call_is_kept():
    wrapper = Scripted(answer(structured(), system_fingerprint="fp_1", **USED))
    given_back, about = ask_once(asker_of(wrapper))
    assert given_back["content"] == structured()
    (call,) = about.calls
    assert (call.purpose, call.max_tokens, call.finish_reason, call.from_cache) == ("label", 100, "stop", False)
    assert call.answer == json.dumps(structured())
    assert call.usage == about.usage == Usage(**USED)
    assert call.request_hash == request_hash(wrapper.bodies[0])
    assert about.fingerprint == "fp_1"


def test_calls_of_a_window_add_up():
    wrapper = Scripted(answer("a", **USED), answer("b", **USED))

    async def ask_twice():
        about = asker_of(wrapper).about("clip", 0)
        await about("label", PARTS, None, 100)
        await about("again", [*PARTS, Part("user", "again")], None, 100)
        return about

    about = asyncio.run(ask_twice())
    assert about.usage == Usage(prompt_tokens=200, response_tokens=20, reasoning_tokens=10, cached_tokens=100)
    assert [call.purpose for call in about.calls] == ["label", "again"]
    assert about.calls[0].request_hash != about.calls[1].request_hash


def test_the_wrapper_finds_out_what_it_needs_before_the_request_is_built():
    wrapper = Scripted(answer("a"))
    ask_once(asker_of(wrapper))
    assert wrapper.prepared == 1


def test_parts_of_one_role_are_one_message():
    body = asker_of(Scripted()).body(PARTS, None, 100)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert [part["text"] for part in body["messages"][1]["content"]] == ["# Meta-actions", "# Frames"]


def test_the_body_that_is_shown_is_the_one_that_is_sent():
    wrapper = Scripted(answer("a"))
    asker = asker_of(wrapper)
    ask_once(asker)
    assert asker.body(PARTS, StructuredAnswer, 100) == wrapper.bodies[0]


def test_a_clip_s_name_and_files_are_in_no_request():
    own = window()
    parts = [Part("user", frames=tuple((f"t={n}", shot) for n, shot in enumerate(frames_of(own).shots)))]
    parts[0] = Part(
        "user", frames=tuple((label, type(s)(s.file, s.index, s.t_us, PIXEL)) for label, s in parts[0].frames)
    )
    text = json.dumps(asker_of(Scripted()).body(parts, None, 100))
    assert own.keyframe.clip_id not in text
    assert ".mp4" not in text
    assert not any(str(shot.t_us) in text for _, shot in parts[0].frames if shot.t_us)


def test_a_repeated_request_is_answered_from_the_cache_and_costs_nothing(tmp_path):
    first, about = ask_once(asker_of(Scripted(answer(structured(), **USED)), tmp_path))
    silent = Scripted()
    budget = Budget(max_total_tokens=0)  # nothing may be sent
    second, again = ask_once(asker_of(silent, tmp_path, budget))
    assert second == first
    assert silent.bodies == []
    (call,) = again.calls
    assert (call.from_cache, call.usage) == (True, Usage())
    assert (call.request_hash, call.answer) == (about.calls[0].request_hash, about.calls[0].answer)
    assert budget.spent == Usage()


@pytest.mark.parametrize(
    "other",
    [
        {"max_tokens": 101},
        {"form": SentenceAnswer},
        {"parts": [*PARTS, Part("user", "more")]},
        {"parts": [Part("user", "You label."), *PARTS[1:]]},
    ],
    ids=["tokens", "form", "text", "role"],
)
def test_another_request_is_asked(tmp_path, other):
    ask_once(asker_of(Scripted(answer("a")), tmp_path))
    wrapper = Scripted(answer("b"))
    ask_once(asker_of(wrapper, tmp_path), **other)
    assert len(wrapper.bodies) == 1


def test_another_host_is_asked_for_itself(tmp_path):
    for host in ("a.example:443", "b.example:443", "a.example:443"):
        wrapper = Scripted(answer(host))
        wrapper.hosts = (host,)
        given_back, _ = ask_once(asker_of(wrapper, tmp_path))
        assert given_back["content"] == host


def test_an_error_is_not_kept_in_the_cache(tmp_path):
    with pytest.raises(ModelUnreachable):
        ask_once(asker_of(Scripted(ModelUnreachable("gone")), tmp_path))
    given_back, _ = ask_once(asker_of(Scripted(answer("a")), tmp_path))
    assert given_back["content"] == "a"


@pytest.mark.parametrize("error", [ModelUnreachable("gone"), asyncio.CancelledError(), RuntimeError("bug")])
def test_after_an_error_nothing_is_in_flight(error):
    budget = Budget()
    with pytest.raises(BaseException, match=str(error) or None):
        ask_once(asker_of(Scripted(error), budget=budget))
    assert (budget.in_flight, budget.requests) == (0, 0)


def test_what_may_not_be_spent_is_not_asked():
    wrapper = Scripted(answer("a"))
    with pytest.raises(BudgetReachedError):
        ask_once(asker_of(wrapper, budget=Budget(max_total_tokens=0)))
    assert wrapper.bodies == []


@pytest.mark.parametrize("count", [None, "many", -5, True, 1.5, [3]])
def test_odd_counts_of_tokens_count_as_none(count):
    _, about = ask_once(asker_of(Scripted(answer("a", prompt_tokens=count, response_tokens=7))))
    assert about.usage == Usage(response_tokens=7)


def test_a_very_long_answer_is_kept_in_part():
    _, about = ask_once(asker_of(Scripted(answer("x" * 1_000_000))))
    assert len(about.calls[0].answer) == MAX_KEPT_CHARS


@pytest.mark.parametrize("text", ["half \ud83d", "zero \0", None, {"a": 1}])
def test_an_odd_answer_can_be_kept(text):
    _, about = ask_once(asker_of(Scripted({"content": text, "finish_reason": None})))
    about.calls[0].model_dump_json().encode()
    assert about.calls[0].finish_reason == ""


def test_every_answer_is_an_event_without_its_text(tmp_path):
    events = EventLog(str(tmp_path / "events"))
    ask_once(asker_of(Scripted(answer("a secret of the scene", **USED)), events=events))
    (line,) = (tmp_path / "events").read_text().splitlines()
    event = json.loads(line)
    assert (event["event"], event["clip_id"], event["purpose"]) == ("answer", "clip", "label")
    assert event["usage"]["cached_tokens"] == 50
    assert "secret" not in line


class Own:
    """A user's wrapper that only knows the documented methods."""

    needs_frames = False

    def __init__(self, result=None) -> None:
        self.result = result if result is not None else {"finish_reason": "stop", "content": "a"}
        self.threads: list[str] = []
        self.seen: dict = {}

    def add_message(self, role, m_type, content):
        return {"role": role, "content": [(m_type, content)]}

    def infer(self, messages, max_tokens=1, seed=1, temperature=1, top_p=1, repetition_penalty=1, json_schema=None):
        self.threads.append(threading.current_thread().name)
        self.seen = {"messages": messages, "max_tokens": max_tokens, "seed": seed, "json_schema": json_schema}
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class OwnAsync(Own):
    """The same, asynchronous."""

    async def ainfer(self, messages, **parameters):
        return self.infer(messages, **parameters)


@pytest.mark.parametrize("wrapper", [Own, OwnAsync])
def test_a_user_s_wrapper_is_asked_with_all_it_needs(wrapper):
    own = wrapper()
    with ThreadPoolExecutor(1, "waiting") as threads:
        given_back, _ = ask_once(asker_of(own, threads=threads))
    assert given_back == {"finish_reason": "stop", "content": "a"}
    assert own.seen["max_tokens"] == 100
    assert own.seen["seed"] == 0
    assert own.seen["json_schema"] is StructuredAnswer
    assert [message["role"] for message in own.seen["messages"]] == ["system", "user"]


def test_a_wrapper_that_only_waits_does_not_hold_up_the_others():
    own = Own()
    with ThreadPoolExecutor(1, "waiting") as threads:
        ask_once(asker_of(own, threads=threads))
    assert own.threads == ["waiting_0"]


@pytest.mark.parametrize("wrapper", [Own, OwnAsync])
def test_whatever_a_user_s_wrapper_raises_costs_one_window(wrapper):
    with pytest.raises(ModelError, match=r"Own(Async)?: KeyError: 'choices'"):
        ask_once(asker_of(wrapper(KeyError("choices"))))
    with pytest.raises(RequestRefused, match="no"):
        ask_once(asker_of(wrapper(RequestRefused("no"))))


def test_a_request_to_a_user_s_wrapper_has_a_hash_too():
    asker = asker_of(Own())
    hashes = {
        request_hash(asker.body(PARTS, form, n)) for form in (None, SentenceAnswer, StructuredAnswer) for n in (1, 2)
    }
    assert len(hashes) == 6


def test_the_dummy_answers_in_the_form_that_is_asked_for():
    given_back, about = ask_once(asker_of(DummyWrapper("dummy")))
    assert set(given_back["content"]) == set(StructuredAnswer.model_fields)
    assert about.usage == Usage()


def test_closing_ends_connections_and_threads():
    threads = ThreadPoolExecutor(1)
    asyncio.run(asker_of(Own(), threads=threads).close())
    with pytest.raises(RuntimeError):
        threads.submit(print)
    asyncio.run(asker_of(Scripted()).close())


plain = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
bodies = st.dictionaries(
    st.text(max_size=6),
    st.recursive(plain, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3)),
    max_size=4,
)


def turned(value):
    """The same with every dict written backwards."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(bodies)
def test_the_order_of_keys_does_not_change_a_hash(body):
    assert request_hash(body) == request_hash(turned(body)) == request_hash(json.loads(json.dumps(body)))


@given(bodies, bodies)
def test_different_requests_have_different_hashes(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (request_hash(one) == request_hash(other)) == same


def picture(uri: str) -> dict:
    return {"messages": [{"content": [{"type": "image_url", "image_url": {"url": uri}}]}]}


def test_pictures_count_by_their_content():
    one, same, other = (picture(f"data:image/jpeg;base64,{text}") for text in ("AAAA", "AAAA", "AAAB"))
    assert request_hash(one) == request_hash(same) != request_hash(other)


def test_the_order_of_messages_and_pictures_counts():
    a, b = {"url": "data:,a"}, {"url": "data:,b"}
    assert request_hash({"m": [a, b]}) != request_hash({"m": [b, a]})


def test_a_hash_is_a_sha_256_that_stays_the_same():
    assert (
        request_hash({"b": 1, "a": ["x", None]}) == "51ea4a015bf57b32336168fc743a8366704ee3f1c1b5668a57068719f24a4d8f"
    )
