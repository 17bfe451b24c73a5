import asyncio

from pydantic import BaseModel, ConfigDict

from coc_labeling.model_clients.vlm_wrappers import create_model_wrapper


class Sentence(BaseModel):
    model_config = ConfigDict(extra="forbid")
    effect_on_ego_behavior: str


def test_answers_in_the_form_asked_for():
    wrapper = create_model_wrapper("dummy")
    messages = [wrapper.add_message("user", "text", "x")]
    result = wrapper.infer(messages, json_schema=Sentence)
    assert result["content"] == {"effect_on_ego_behavior": "dummy"}
    assert result == asyncio.run(wrapper.ainfer(messages, json_schema=Sentence))
    assert wrapper.infer(messages)["content"] == "dummy answer"
    assert (wrapper.needs_frames, wrapper.preferred_in_flight, wrapper.hosts) == (False, 8, ())
    assert wrapper.egress.summary() == {}
    assert wrapper.request(messages)["model"] == "dummy"
