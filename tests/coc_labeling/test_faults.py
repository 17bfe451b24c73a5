"""The fault table: what a server can do wrong, and what is left of a run after it."""

import email.utils
import json
import time

import pytest

from builders.fake_openai import (
    Drip,
    Expired401,
    Fenced,
    Hang,
    Html,
    Huge,
    Ok,
    Raw,
    Refusal,
    ResetAtOnce,
    ResetMidBody,
    Status,
    Truncated,
    WrongSchema,
)
from builders.model_runs import KEY, MANY, MOMENTS, Sticky, answer, own_answer
from builders.runs import records_in
from coc_labeling.model_clients.credentials import ProviderEndpoints
from coc_labeling.model_clients.transport import LARGEST_ANSWER_BYTES
from coc_labeling.model_clients.vlm_wrappers import OpenAIWrapper

ONE = [("clip_1", 60)]
QUICK = 0.25  # s; an answer on loopback takes a few ms


@pytest.fixture(autouse=True)
def _answers(server):
    server.answer = own_answer


def http_date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


PASSING = {
    "429_seconds": (lambda: Status(429, "slow down", headers={"retry-after": "7"}), {}),
    "429_date": (lambda: Status(429, "slow down", headers={"retry-after": http_date(40)}), {}),
    "500": (lambda: Status(500), {}),
    "502": (lambda: Raw(b"<html>bad gateway</html>", 502, {"content-type": "text/html"}), {}),
    "503": (lambda: Status(503, "overloaded", headers={"retry-after": "2"}), {}),
    "408": (lambda: Status(408), {}),
    "409": (lambda: Status(409), {}),
    "hang": (Hang, {"timeout_sec": QUICK}),
    "drip": (Drip, {"timeout_sec": QUICK}),
    "reset_at_once": (ResetAtOnce, {}),
    "reset_mid_body": (ResetMidBody, {}),
    "closed_mid_body": (Truncated, {}),
    "html_with_200": (Html, {}),
    "empty_body": (lambda: Raw(b""), {}),
    "half_a_json": (lambda: Raw(b'{"choices": [{"message": {"content": "Keep'), {}),
    "json_without_choices": (lambda: Raw(b'{"choices": []}'), {}),
    "error_with_200": (lambda: Raw(json.dumps({"error": {"message": f"key {KEY}"}}).encode()), {}),
    "no_json_object": (lambda: Raw(b'["Keep the speed."]'), {}),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_a_request_and_no_label(model, server, seen_secrets, fault):
    make, settings = PASSING[fault]
    server.script = [make(), make()]
    assert model(**settings) == 0
    assert model.reasons() == {"done: labelled": len(MOMENTS)}
    assert model.asked == len(MOMENTS) + 2
    model.check()
    assert seen_secrets() == []


@pytest.mark.parametrize(
    ("fault", "at_least"),
    [("429_seconds", 7.0), ("429_date", 38.0), ("503", 2.0)],
)
def test_the_pause_that_a_server_asks_for_is_made(model, server, fault, at_least):
    server.script = [PASSING[fault][0]()]
    assert model() == 0
    assert max(model.pauses.taken) >= at_least


def test_pauses_grow_without_such_a_wish(model, server):
    server.script = [Status(500)] * 4
    assert model(ONE) == 0
    assert model.pauses.taken == [0.5, 1.0, 2.0, 4.0]


LASTING = {
    "400": (lambda: Status(400, "picture 3 cannot be read"), {}, "failed: http_400"),
    "422": (lambda: Status(422, f"no; you said {KEY}"), {}, "failed: http_422"),
    "429": (lambda: Status(429), {}, "failed: http_429"),
    "500": (lambda: Status(500), {}, "failed: http_500"),
    "hang": (Hang, {"timeout_sec": QUICK}, "failed: timeout"),
    "drip": (Drip, {"timeout_sec": QUICK}, "failed: timeout"),
    "reset_at_once": (ResetAtOnce, {}, "failed: connection"),
    "reset_mid_body": (ResetMidBody, {}, "failed: connection"),
    "html_with_200": (Html, {}, "failed: bad_response"),
    "empty_body": (lambda: Raw(b""), {}, "failed: bad_response"),
    "more_than_fits": (lambda: Huge(LARGEST_ANSWER_BYTES), {}, "failed: bad_response"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_window_whose_request_always_fails_is_lost_alone_and_done_on_resume(model, server, seen_secrets, fault):
    make, settings, reason = LASTING[fault]
    server.default = Sticky(make())
    server.answer = None
    assert model(max_retries=1, **settings) == 1
    assert model.reasons() == {"done: labelled": len(MOMENTS) - 1, reason: 1}
    model.check()
    before = records_in(model.folder)
    server.default, server.answer, server.requests[:] = Ok(), own_answer, []
    assert model.resume() == 0
    assert model.asked == 1
    assert model.reasons() == {"done: already_done": len(MOMENTS) - 1, "done: labelled": 1}
    after = records_in(model.folder)
    assert {name: after[name] for name in before} == before
    model.check()
    assert seen_secrets() == []


def test_the_message_names_the_window_host_and_status(model, server, capfd):
    server.default, server.answer = Sticky(Status(400, "picture 3 cannot be read")), None
    assert model() == 1
    (message,) = model.told()["messages"].values()
    assert message == "127.0.0.1 answered 400: picture 3 cannot be read"
    assert message in capfd.readouterr().out


ODD = {
    "refusal_field": ([Refusal(), Refusal()], 1, "refused"),
    "refusal_in_words": ([Ok(answer("I'm sorry, I can't help with identifying people."))], 1, "refused"),
    "content_filter": ([Ok("", finish_reason="content_filter")], 1, "refused"),
    "content_filter_with_400": ([Status(400, "filtered", code="content_filter")], 1, "refused"),
    "wrong_schema_twice": ([WrongSchema(), WrongSchema()], 2, "invalid_answer"),
    "prose_twice": ([Ok("Keep the speed."), Ok("As I said, keep the speed.")], 2, "invalid_answer"),
    "two_objects_twice": ([Ok(answer() + answer("Stop.")), Ok(answer() + answer("Stop."))], 2, "invalid_answer"),
    "null_sentence": ([Ok(answer(None)), Ok(answer(None))], 2, "invalid_answer"),
    "empty_sentence": ([Ok(answer(""))], 1, "empty_answer"),
    "null_in_words": ([Ok(answer("null"))], 1, "empty_answer"),
    "null_in_quotes": ([Ok(answer(' "Null". '))], 1, "empty_answer"),
    "null_content": ([Ok("", message={"content": None})], 1, "empty_answer"),
    "blank_content": ([Ok(" \n ")], 1, "empty_answer"),
    "says_unreadable": ([Ok(answer(unreadable=True))], 1, "unreadable_video"),
    "10_mb_of_prose": ([Huge(), Huge()], 2, "invalid_answer"),
    "10_mb_sentence": ([Ok(answer("Keep the speed. " * 600_000)), WrongSchema()], 2, "invalid_answer"),
    "cut_off_twice": ([Ok(answer()[:80], finish_reason="length")] * 2, 2, "truncated_answer"),
    "cut_off_at_once": ([Ok("", finish_reason="length")] * 2, 2, "truncated_answer"),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_answer_that_is_no_label_is_an_abstention_with_its_reason(model, server, seen_secrets, kind):
    script, requests, reason = ODD[kind]
    server.script = list(script[:requests])
    assert model(ONE) == 0
    assert model.asked == requests
    assert model.reasons() == {f"rejected: abstained_{reason}": 1}
    record = model.only_record()
    assert record.label.effect_on_ego_behavior is None
    assert record.final_content == {}
    assert record.label.abstention.detail
    model.check(ONE)
    (content,) = records_in(model.folder).values()
    assert len(content) < 100_000
    assert seen_secrets() == []


def test_an_abstention_is_not_asked_about_again(model, server):
    server.script = [Refusal()]
    assert model(ONE) == 0
    assert model.resume(ONE, response_cache="false") == 0
    assert model.asked == 1


def test_an_abstention_spoils_no_other_window(model, server):
    server.default, server.answer = Sticky(Refusal(), count=2), None
    assert model() == 0
    assert model.reasons() == {"done: labelled": len(MOMENTS) - 2, "rejected: abstained_refused": 2}
    model.check()


def test_fenced_json_is_read(model, server):
    server.script = [Fenced(answer("Stop for the red light."))]
    assert model(ONE) == 0
    assert model.asked == 1
    assert model.only_record().label.effect_on_ego_behavior == "Stop for the red light."


def test_a_truncated_answer_is_asked_once_more_with_twice_the_tokens(model, server):
    server.script = [Ok(answer()[:50], finish_reason="length"), Ok(answer("Stop for the red light."))]
    assert model(ONE) == 0
    assert [request.json["max_tokens"] for request in server.requests] == [4096, 8192]
    assert server.requests[0].json["messages"] == server.requests[1].json["messages"]
    record = model.only_record()
    assert record.label.effect_on_ego_behavior == "Stop for the red light."
    assert [call.purpose for call in record.calls] == ["label", "more_tokens"]
    assert record.usage.prompt_tokens == 2000
    assert model.told()["tokens"]["prompt"] == 2000


def test_an_unusable_answer_is_asked_again_once_and_told_what_was_wrong(model, server):
    wrong = answer(lateral={"decision": "fly", "direction": None, "cause_ids": ["unobserved"]})
    server.script = [Ok(wrong), Ok(answer("Stop for the red light."))]
    assert model(ONE) == 0
    first, second = (request.json["messages"] for request in server.requests)
    assert second[: len(first)] == first
    assistant, user = second[len(first) :]
    assert assistant == {"role": "assistant", "content": [{"type": "text", "text": wrong}]}
    assert "lateral.decision" in user["content"][0]["text"]
    assert model.only_record().label.effect_on_ego_behavior == "Stop for the red light."


def test_a_cause_that_is_no_component_is_no_label(model, server):
    wrong = answer(longitudinal={"decision": "stop", "cause_ids": ["c7"]})
    server.script = [Ok(wrong), Ok(wrong)]
    assert model(ONE) == 0
    assert "c7 are no components" in model.only_record().label.abstention.detail


STOPPING = {
    "bad_key": (
        lambda: Status(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"),
        "COC_TEST_MODEL_KEY",
    ),
    "no_permission": (lambda: Status(403, "no access"), "answered 403"),
    "unknown_model": (lambda: Status(404, "The model `fake-model` does not exist", code="model_not_found"), "404"),
    "no_credit": (lambda: Status(429, "You exceeded your quota", type="insufficient_quota"), "billing page"),
    "redirect": (lambda: Raw(b"", 307, {"location": "http://127.0.0.1:9/v1/chat/completions"}), "redirects"),
}


@pytest.mark.parametrize("fault", STOPPING)
def test_what_fails_for_all_stops_the_run_at_once_with_one_clear_error(model, server, capfd, seen_secrets, fault):
    make, named = STOPPING[fault]
    server.default, server.answer = make(), None
    assert model(MANY, max_in_flight=2) == 2
    assert model.asked <= 2
    out, err = capfd.readouterr()
    (error,) = (line for line in out.splitlines() if line.startswith("stopped early: "))
    assert named in error
    assert f"go on with: resume_exp_dir={model.folder}" in out
    assert len(out.splitlines()) < 20, "an error per window"
    assert KEY not in out + err
    model.check(MANY)
    assert model.reasons()["failed: not_reached"] >= len(MANY) - 2
    assert seen_secrets() == []


def test_after_such_a_stop_resume_asks_about_all(model, server):
    server.default, server.answer = Status(401), None
    assert model(MANY, max_in_flight=2) == 2
    server.default, server.answer, server.requests[:] = Ok(), own_answer, []
    assert model.resume(MANY) == 0
    assert model.asked == len(MANY)
    model.check(MANY)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Status(400, "Unsupported parameter: 'seed'", param="seed"), "http_400"),
        (lambda: Status(503, "starting"), "http_503"),
        (Html, "bad_response"),
        (ResetAtOnce, "connection"),
    ],
)
def test_when_all_first_windows_fail_in_the_same_way_the_run_stops_early(
    model, server, capfd, seen_secrets, make, reason
):
    server.default, server.answer = make(), None
    assert model(MANY, max_in_flight=2, max_retries=1) == 2
    assert model.asked <= 2 * (8 + 2)
    assert capfd.readouterr().out.count("stopped early: model: 8 windows in a row failed in the same way") == 1
    reasons = model.reasons()
    assert 8 <= reasons[f"failed: {reason}"] <= 10
    assert reasons["failed: not_reached"] == len(MANY) - reasons[f"failed: {reason}"]
    model.check(MANY)
    assert seen_secrets() == []


def test_the_advice_for_a_refused_parameter_is_in_the_one_error(model, server, capfd):
    server.default, server.answer = Status(400, "Unsupported parameter: 'seed'", param="seed"), None
    assert model(MANY, max_in_flight=2) == 2
    assert "openai_compatible.omit_parameters=[seed]" in capfd.readouterr().out


def test_a_few_bad_windows_of_many_do_not_stop_a_run(model, server):
    server.default, server.answer = Sticky(Status(400, "no"), count=7), None
    assert model(MANY) == 1
    assert model.reasons() == {"done: labelled": len(MANY) - 7, "failed: http_400": 7}


def test_a_server_that_is_not_there_is_named(model, server, capfd):
    gone = "http://127.0.0.1:9/v1"
    assert model(MANY, max_in_flight=2, max_retries=1, openai_compatible__base_url=gone) == 2
    assert "no answer from 127.0.0.1" in capfd.readouterr().out
    assert model.asked == 0
    model.check(MANY)


@pytest.fixture
def azure(model, server, monkeypatch):
    """GPT-5 behind OAuth."""
    for name in ("NVIDIA_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NVHOST_OAI_CLIENT_ID", "id-Kx93-of-this-test")
    monkeypatch.setenv("NVHOST_OAI_CLIENT_SECRET", "secret-Pw55-of-this-test")
    endpoints = ProviderEndpoints(
        oauth_url=f"{server.root}/oauth/token", azure_base_url=f"{server.root}/llm/v1/azure/openai"
    )
    monkeypatch.setattr(OpenAIWrapper, "endpoints", endpoints)
    return lambda moments=None, **settings: model(moments, model_name="gpt5", **settings)


SECRETS = ("id-Kx93-of-this-test", "secret-Pw55-of-this-test", "tok-Zz10-first", "tok-Zz11-second")


def token(value: str) -> Raw:
    return Raw(json.dumps({"access_token": value, "token_type": "bearer", "expires_in": 3600}).encode())


def test_an_expired_token_is_renewed_once_and_no_window_is_lost(azure, model, server, seen_secrets):
    server.oauth_script = [token(SECRETS[2]), token(SECRETS[3])]
    server.script = [Expired401()]
    assert azure(max_in_flight=1) == 0
    assert len(server.token_requests) == 2
    assert model.asked == len(MOMENTS) + 1
    assert server.requests[-1].headers["authorization"] == f"Bearer {SECRETS[3]}"
    assert model.reasons() == {"done: labelled": len(MOMENTS)}
    model.check()
    assert seen_secrets(*SECRETS) == []


def test_a_token_that_is_never_accepted_stops_the_run(azure, model, server, capfd, seen_secrets):
    server.oauth_script = [token(value) for value in SECRETS[2:]]
    server.default, server.answer = Status(401, f"not accepted: {SECRETS[3]}"), None
    assert azure(MANY, max_in_flight=1) == 2
    assert model.asked == 2
    assert "NVHOST_OAI_CLIENT_ID" in capfd.readouterr().out
    model.check(MANY)
    assert seen_secrets(*SECRETS) == []


def test_a_client_that_gets_no_token_stops_the_run_before_any_picture_leaves(azure, model, server, seen_secrets):
    server.oauth_script = [Status(401, f"invalid_client {SECRETS[1]}")] * 3
    assert azure(MANY, max_in_flight=1) == 2
    assert model.asked == 0
    model.check(MANY)
    assert seen_secrets(*SECRETS) == []
