"""The README's "Extend with Other Model Clients", step by step, with a wrapper of its own."""

import threading

import pytest

from builders.fake_openai import Ok
from builders.model_runs import KEY, MANY, MOMENTS, answer, own_answer
from coc_labeling.config.loading import load_config
from coc_labeling.data_labeling import main
from coc_labeling.model_clients.vlm_wrappers import (
    MODEL_WRAPPER_REGISTRY,
    BaseWrapper,
    DummyWrapper,
    OpenAIWrapper,
    QwenWrapper,
    cloud,
    qwen,
)

SENTENCE = "Keep the speed; the road is clear."


class OwnWrapper:
    """Step 1: a wrapper with the interface that the README names, and nothing else."""

    reply: object = None

    def __init__(self, model_name, init_model=True, ip_addr=None, timeout_sec=600):
        self.model_name, self.timeout_sec = model_name, timeout_sec
        type(self).made.append((model_name, ip_addr, timeout_sec))

    def add_message(self, role, m_type, content):
        if m_type == "text":
            parts = [{"type": "text", "text": content}]
        else:
            frames = content if m_type == "video" else [content]
            parts = [{"type": "picture", "data": frame} for frame in frames]
        return {"role": role, "content": parts}

    def infer(
        self,
        messages,
        max_tokens=4096,
        seed=0,
        temperature=0.0,
        top_p=1.0,
        repetition_penalty=1.0,
        json_schema=None,
    ):
        cls = type(self)
        with cls.lock:
            cls.calls.append({"messages": messages, "max_tokens": max_tokens, "seed": seed, "json_schema": json_schema})
            cls.threads.add(threading.current_thread().name)
        return self.answered(messages, json_schema)

    def answered(self, messages, json_schema):
        return {
            "finish_reason": "stop",
            "content": json_schema.model_validate_json(answer()).model_dump(mode="json"),
            "prompt_tokens": 900,
            "response_tokens": 40,
            "reasoning_tokens": 0,
            "system_fingerprint": "own-1",
        }


@pytest.fixture
def registered(monkeypatch):
    """Step 2: the model key in the registry."""

    def register(wrapper: type, key: str = "own_model") -> type:
        wrapper.made, wrapper.calls, wrapper.threads, wrapper.lock = [], [], set(), threading.Lock()
        monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, key, wrapper)
        return wrapper

    return register


def test_the_smoke_run_of_step_5_labels_with_the_own_wrapper(spawning, registered, server, tmp_path):
    own = registered(type("Own", (OwnWrapper,), {}))
    arguments = spawning.overrides(exp_name="smoke_own_model", timeout_sec=55, resume_exp_dir="null")
    arguments = [a for a in arguments if not a.startswith(("model_name", "openai_compatible"))]
    assert main(["--config-name=base_config_vlm_rel_ts", "model_name=own_model", *arguments]) == 0
    assert own.made == [("own_model", None, 55.0)]
    assert spawning.folder.name.endswith("_smoke_own_model")
    assert spawning.reasons() == {"done: labelled": len(MOMENTS)}
    spawning.check()
    record = next(iter(spawning.records().values()))
    assert record.label.effect_on_ego_behavior == SENTENCE
    assert record.provenance.model == "own_model"
    assert record.provenance.model_revision == "own-1"
    assert (record.usage.prompt_tokens, record.usage.response_tokens) == (900, 40)
    assert spawning.told()["tokens"]["prompt"] == 900 * len(MOMENTS)
    assert server.requests == []


def test_the_wrapper_gets_the_whole_conversation_and_the_configured_sampling(model, registered):
    own = registered(type("Own", (OwnWrapper,), {}))
    assert model(MOMENTS[:1], model_name="own_model", vlm_agent__seed=7, vlm_agent__max_tokens=999) == 0
    (call,) = own.calls
    assert (call["seed"], call["max_tokens"]) == (7, 999)
    assert "effect_on_ego_behavior" in call["json_schema"].model_fields
    assert [message["role"] for message in call["messages"]] == ["system", "user"]
    kinds = [part["type"] for part in call["messages"][1]["content"]]
    assert kinds.count("picture") == 16
    assert kinds[-1] == "picture", "frames come last"


def test_a_wrapper_that_waits_is_called_from_many_threads(model, registered):
    together = threading.Barrier(3)

    class Waiting(OwnWrapper):
        def answered(self, messages, json_schema):
            together.wait(20)
            return super().answered(messages, json_schema)

    registered(Waiting)
    assert model(model_name="own_model", max_in_flight=3) == 0
    assert model.reasons() == {"done: labelled": len(MOMENTS)}


@pytest.mark.parametrize("text", [answer(), f"Here:\n```json\n{answer()}\n```"])
def test_content_may_be_the_answer_s_text(model, registered, text):
    class Texts(OwnWrapper):
        def answered(self, messages, json_schema):
            return {"finish_reason": "stop", "content": text, "prompt_tokens": 1, "response_tokens": 1}

    registered(Texts)
    assert model(model_name="own_model") == 0
    assert {r.label.effect_on_ego_behavior for r in model.records().values()} == {SENTENCE}
    model.check()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"finish_reason": "stop", "content": None}, "empty_answer"),
        ({"finish_reason": "stop", "content": ""}, "empty_answer"),
        ({"finish_reason": "stop", "content": 5}, "invalid_answer"),
        ({"finish_reason": "stop", "content": {"effect_on_ego_behavior": None}}, "invalid_answer"),
        ({"content": "null"}, "invalid_answer"),
        ({}, "empty_answer"),
        ({"finish_reason": "refusal", "content": "no"}, "refused"),
    ],
)
def test_an_odd_result_of_infer_is_an_abstention(model, registered, reply, reason):
    registered(type("Odd", (OwnWrapper,), {"answered": lambda self, messages, json_schema: reply}))
    assert model(MOMENTS[:1], model_name="own_model") == 0
    assert model.reasons() == {f"rejected: abstained_{reason}": 1}
    model.check(MOMENTS[:1])


@pytest.mark.parametrize("error", [RuntimeError("out of memory on the card"), KeyError("choices"), OSError("gone")])
def test_whatever_infer_raises_costs_only_that_window(model, registered, error):
    class Raising(OwnWrapper):
        def answered(self, messages, json_schema):
            with self.lock:
                if len(self.calls) in (2, 4):
                    raise error
            return super().answered(messages, json_schema)

    registered(Raising)
    assert model(model_name="own_model", max_in_flight=1) == 1
    assert model.reasons() == {"done: labelled": len(MOMENTS) - 2, "failed: model_error": 2}
    assert f"{type(error).__name__}: " in next(iter(model.told()["messages"].values()))
    model.check()
    assert model.resume(model_name="own_model") == 0
    model.check()


@pytest.mark.parametrize("reply", [None, "text", 5, [1]])
def test_a_result_that_is_no_dict_fails_with_the_wrapper_s_name(model, registered, reply):
    registered(type("Nothing", (OwnWrapper,), {"answered": lambda self, messages, json_schema: reply}))
    assert model(MOMENTS[:1], model_name="own_model") == 2
    assert "Nothing: " in next(iter(model.told()["messages"].values()))


def test_a_wrapper_that_always_raises_stops_the_run_early(model, registered, capfd):
    def broken(self, messages, json_schema):
        raise RuntimeError("no card")

    own = registered(type("Broken", (OwnWrapper,), {"answered": broken}))
    assert model(MANY, model_name="own_model", max_in_flight=2) == 2
    assert len(own.calls) <= 10
    assert "no card" in capfd.readouterr().out
    model.check(MANY)


def test_answers_of_own_wrappers_are_cached_and_shown_as_well(model, registered):
    from coc_labeling.show_request import show_request

    own = registered(type("Own", (OwnWrapper,), {}))
    assert model(MOMENTS[:1], model_name="own_model") == 0
    assert model(MOMENTS[:1], model_name="own_model", exp_name="again") == 0
    assert len(own.calls) == 1
    record = next(model.out.glob("*_again/*/cot_*.yaml"))
    (shown,) = show_request(str(record))
    assert shown.same
    assert shown.body["messages"] == own.calls[0]["messages"]
    pictures = [part["data"] for message in own.calls[0]["messages"] for part in message["content"] if "data" in part]
    assert len(pictures) == 16
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures), "a video is a list of pictures"


@pytest.mark.parametrize("ours", [BaseWrapper, DummyWrapper])
def test_an_own_wrapper_may_build_on_ours_and_define_infer_only(model, registered, ours):
    class Derived(ours):
        infer = OwnWrapper.infer
        answered = OwnWrapper.answered

    own = registered(Derived)
    assert model(model_name="own_model") == 0
    assert len(own.calls) == len(MOMENTS)
    model.check()


def test_an_own_wrapper_may_build_on_ours_and_define_ainfer_only(model, registered):
    class Derived(BaseWrapper):
        async def ainfer(self, messages, **parameters):
            type(self).calls.append(parameters)
            return OwnWrapper.answered(self, messages, parameters["json_schema"])

    own = registered(Derived)
    assert model(model_name="own_model") == 0
    assert len(own.calls) == len(MOMENTS)
    model.check()


# --- step 2: aliases, by the registry and the specs only


def test_a_new_qwen_alias_needs_the_registry_and_its_specs_only(model, registered, server, monkeypatch):
    server.answer, server.models = own_answer, ("Qwen/Qwen9-VL-1B",)
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "qwen9_1b", QwenWrapper)
    monkeypatch.setitem(qwen.QWEN_MODEL_SPECS, "qwen9_1b", ("models--Qwen--Qwen9-VL-1B", "Qwen/Qwen9-VL-1B", None))
    assert model(model_name="qwen9_1b", server_ip=f"127.0.0.1:{server.port}") == 0
    assert {request.json["model"] for request in server.requests} == {"Qwen/Qwen9-VL-1B"}
    assert model.records().popitem()[1].provenance.model_id == "Qwen/Qwen9-VL-1B"
    model.check()


def test_a_new_openai_alias_needs_the_registry_and_the_name_map_only(model, server, monkeypatch):
    for name in ("NVHOST_OAI_CLIENT_ID", "NVIDIA_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "gpt9", OpenAIWrapper)
    monkeypatch.setitem(cloud.model_name_map, "gpt9", "gpt-9-turbo")
    server.default = Ok(answer())
    assert model(model_name="gpt9") == 0
    assert {request.json["model"] for request in server.requests} == {"gpt-9-turbo"}
    assert "max_completion_tokens" in server.requests[0].json
    model.check()


def test_an_unknown_key_is_answered_with_those_that_there_are(model, registered, capfd):
    registered(type("Own", (OwnWrapper,), {}))
    assert model(model_name="own_modell") == 2
    err = capfd.readouterr().err
    assert "unknown model_name 'own_modell'" in err
    assert "own_model" in err


def test_step_4_a_preset_of_one_s_own_makes_the_model_the_default(tmp_path):
    (tmp_path / "own.yaml").write_text("defaults:\n  - base_config_vlm_rel_ts\n  - _self_\nmodel_name: own_model\n")
    assert load_config("own", [], str(tmp_path)).model_name == "own_model"
