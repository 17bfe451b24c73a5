import pytest
import yaml

from builders.asked import CLIP, agent_of, frames_of, window
from coc_labeling.agents.base import Labelled
from coc_labeling.asking import Asker, WindowAsk
from coc_labeling.budget import Budget
from coc_labeling.events import EventLog
from coc_labeling.model_clients.vlm_wrappers.dummy import DummyWrapper
from coc_labeling.prompts import text_hash
from coc_labeling.recording import Recorder, sent_sampling
from coc_labeling.records import from_yaml
from coc_labeling.response_cache import ResponseCache
from coc_labeling.results import ExperimentFolder
from coc_labeling.schema import CoCLabel, ModelCall, Provenance, Repair, Usage, abstain
from meta_action.timeline import Span

LABEL = CoCLabel(effect_on_ego_behavior="Stop behind the lead vehicle.")
CALLS = [
    ModelCall(purpose="label", request_hash="aa", max_tokens=100, usage=Usage(prompt_tokens=10, cached_tokens=4)),
    ModelCall(purpose="repair", request_hash="bb", max_tokens=100, usage=Usage(prompt_tokens=5, response_tokens=2)),
]
REPAIR = Repair(outcome="repaired", reasons=("why",), before="Go.", after="Stop behind the lead vehicle.")


def asked_with(calls=CALLS, fingerprint: str = "fp") -> WindowAsk:
    wrapper = DummyWrapper("dummy")
    asker = Asker(wrapper, {}, ResponseCache(None), Budget(), EventLog(None))
    return WindowAsk(asker, CLIP, 5_012_345, list(calls), fingerprint)


def recorder(tmp_path, save_prompt: str = "full") -> Recorder:
    made_by = Provenance(agent="VLMCoCAgent", model="dummy", sampling={"seed": 1}, images={"quality": 85})
    (tmp_path / "run").mkdir(exist_ok=True)
    return Recorder(ExperimentFolder(str(tmp_path / "run")), agent_of(), made_by, save_prompt)


@pytest.fixture
def prepared():
    own = window(5_012_345, spans=[Span("lateral", "go_straight", 50, 90), Span("longitudinal", "stop", 50, 70)])
    return agent_of().prepare(own, [frames_of(own, missing=1)])


def stored(tmp_path) -> str:
    return (tmp_path / "run" / CLIP / "cot_5012345.yaml").read_text()


def test_a_record_says_all_that_is_known_of_its_label(tmp_path, prepared):
    record = recorder(tmp_path).record(prepared, Labelled(LABEL, REPAIR), asked_with())
    assert (record.clip_id, record.event_start_frame, record.event_start_timestamp) == (CLIP, 50, 5_012_345)
    assert record.final_content == {"ego_behavior_schema": {"effect_on_ego_behavior": LABEL.effect_on_ego_behavior}}
    assert {span.name for span in record.meta_actions} == {"go_straight", "stop"}
    assert (record.window.frames, record.window.missing_frames) == (15, 1)
    assert record.usage == Usage(prompt_tokens=15, response_tokens=2, cached_tokens=4)
    assert record.calls == tuple(CALLS)
    assert record.repair == REPAIR
    made_by = record.provenance
    assert (made_by.model, made_by.model_id, made_by.model_revision) == ("dummy", "dummy", "fp")
    assert (made_by.request_hash, made_by.sampling) == ("aa", {"seed": 1, "max_tokens": 100})


def test_the_file_is_the_record_and_the_row_is_the_file_s(tmp_path, prepared):
    own = recorder(tmp_path)
    row = own.write(prepared, Labelled(LABEL), asked_with())
    assert from_yaml(stored(tmp_path), "file", CLIP) == own.record(prepared, Labelled(LABEL), asked_with())
    assert row["file_size"] == len(stored(tmp_path).encode())
    assert (row["status"], row["sentence"], row["prompt_tokens"]) == ("label", LABEL.effect_on_ego_behavior, 15)


def test_the_prompt_is_kept_without_pixels(tmp_path, prepared):
    recorder(tmp_path).write(prepared, Labelled(LABEL), asked_with())
    assert "data:" not in stored(tmp_path)
    prompt = yaml.safe_load(stored(tmp_path))["results"]["prompt"]
    assert [(part["role"], part["m_type"]) for part in prompt] == [
        ("system", "text"),
        ("user", "text"),
        ("user", "text"),
        ("user", "video"),
    ]
    assert prompt[0]["content"] == agent_of().prompts.system
    assert prompt[3]["content"].splitlines()[0].startswith(f"t=-1.50s [{CLIP}.front.mp4, index=")


def test_an_abstention_is_recorded_with_its_calls(tmp_path, prepared):
    record = recorder(tmp_path).record(prepared, Labelled(abstain("refused", "no")), asked_with())
    assert (record.final_content, record.label.abstention.reason) == ({}, "refused")
    assert len(record.calls) == 2


def test_an_agent_that_asked_nothing_leaves_no_hash(tmp_path, prepared):
    record = recorder(tmp_path).record(prepared, Labelled(LABEL), asked_with([], ""))
    assert (record.provenance.request_hash, record.provenance.sampling, record.calls) == ("", {}, ())


def test_the_static_part_can_be_kept_once_for_all_records(tmp_path, prepared):
    own = recorder(tmp_path, "reference")
    for _ in range(2):
        own.write(prepared, Labelled(LABEL), asked_with())
    system = agent_of().prompts.system
    name = f"prompt.{text_hash(system)}.txt"
    assert [path.name for path in (tmp_path / "run").glob("prompt.*")] == [name]
    assert (tmp_path / "run" / name).read_text() == system
    first, *rest = yaml.safe_load(stored(tmp_path))["results"]["prompt"]
    assert first == {"role": "system", "m_type": "reference", "content": name}
    assert all(part["m_type"] in ("text", "video") for part in rest)


def test_what_is_sampled_are_the_plain_values_of_a_request():
    body = {
        "model": "m",
        "messages": [{"role": "user"}],
        "temperature": 0.0,
        "seed": 3,
        "reasoning_effort": "low",
        "max_tokens": 9,
        "max_completion_tokens": 9,
        "stream": False,
        "response_format": {"type": "json_schema"},
        "stop": None,
    }
    assert sent_sampling(body) == {"temperature": 0.0, "seed": 3, "reasoning_effort": "low"}
