import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from builders.asked import decided, listed
from builders.coc import coc
from builders.fake_openai import Ok, Refusal, WrongSchema
from builders.model_runs import CAMERA, add_video, answer, small_video
from builders.runs import records_in
from coc_labeling.asking import request_hash
from coc_labeling.conversation import references
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.bodies import to_bytes
from coc_labeling.model_clients.credentials import ProviderEndpoints
from coc_labeling.model_clients.vlm_wrappers import OpenAIWrapper
from coc_labeling.show_request import show_request

ONE = [("clip_1", 60)]
TO_THE_RIGHT = [("clip_1", 90)]  # ego steers to the right only: a label that turns left contradicts it
WRONG = answer(longitudinal={"decision": "fly", "cause_ids": []})
CONTRADICTION = answer(
    "Turn left at the corner.", lateral={"decision": "turn", "direction": "left", "cause_ids": ["unobserved"]}
)
REPAIRED = {
    "longitudinal": {"decision": "track_speed", "cause_ids": ["unobserved"]},
    "lateral": None,
    "trace": "",
    "effect_on_ego_behavior": "Keep the speed.",
}

# What the server answers, and what is asked for it.
SCRIPTS = {
    "valid": ([Ok(answer())], ["label"]),
    "invalid": ([Ok(WRONG), Ok(answer())], ["label", "again"]),
    "prose": ([Ok("Keep going."), Ok(answer())], ["label", "again"]),
    "other_json": ([WrongSchema(), Ok(answer())], ["label", "again"]),
    "too_long": ([Ok(answer("Keep the speed. " * 100)), Ok(answer())], ["label", "again"]),
    "invalid_twice": ([Ok(WRONG), Ok(WRONG)], ["label", "again"]),
    "cut_off": ([Ok(answer()[:70], finish_reason="length"), Ok(answer())], ["label", "more_tokens"]),
    "cut_off_then_invalid": (
        [Ok(answer()[:70], finish_reason="length"), Ok(WRONG), Ok(answer())],
        ["label", "more_tokens", "again"],
    ),
    "contradicting": ([Ok(CONTRADICTION), Ok(json.dumps(REPAIRED))], ["label", "repair"]),
    "invalid_then_contradicting": (
        [Ok(WRONG), Ok(CONTRADICTION), Ok(json.dumps(REPAIRED))],
        ["label", "again", "repair"],
    ),
    "not_repaired": ([Ok(CONTRADICTION), Ok("no")], ["label", "repair"]),
    "refused": ([Refusal()], ["label"]),
    "non_ascii": (
        [Ok('{"a": "Ampel: grün, 信号 \\ud83d\\ude00 😀"}'), Ok(answer("Weiter bei Grün 信号."))],
        ["label", "again"],
    ),
    "giant_prose": ([Ok("Keep going. " * 10_000), Ok(answer())], ["label", "again"]),
    "half_a_letter": ([Ok("Keep \ud83d going."), Ok(answer())], ["label", "again"]),
    "giant_json": ([Ok(answer("Keep going. " * 10_000)), Ok(answer())], ["label", "again"]),
    "odd_spaces": ([Ok(" line \n\n\ttabs\t \n  x: - 'y' #z\n "), Ok(answer())], ["label", "again"]),
}


def record_of(model) -> str:
    (name,) = records_in(model.folder)
    return str(model.folder / name)


@pytest.mark.parametrize("save_prompt", ["full", "reference"])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_the_requests_of_a_record_are_byte_for_byte_those_that_were_sent(model, server, kind, save_prompt):
    script, purposes = SCRIPTS[kind]
    server.script = list(script)
    assert model(TO_THE_RIGHT, save_prompt=save_prompt, vlm_agent__use_metaaction_check_pipeline="true") == 0
    shown = show_request(record_of(model))
    assert [to_bytes(one.body)[0] for one in shown] == [request.body for request in server.requests]
    assert all(one.same for one in shown)
    assert [one.call.request_hash for one in shown] == [request_hash(request.json) for request in server.requests]
    assert [one.call.purpose for one in shown] == purposes


STAGES = {"vlm_agent__agent_name": "TwoStageCoCAgent", "vlm_agent__use_metaaction_check_pipeline": "true"}
TURN = {"decision": "turn", "direction": "left", "cause_ids": ["c1"]}
SEEN = json.dumps(listed("a corner", "a van"))
TWO_STAGES = {
    "valid": ([SEEN, json.dumps(decided("Keep the speed."))], ["components", "label"]),
    "invalid_first": (["no", SEEN, json.dumps(decided("Keep the speed."))], ["components", "again", "label"]),
    "invalid_second": ([SEEN, "{}", json.dumps(decided("Keep the speed."))], ["components", "label", "again"]),
    "unreadable": ([json.dumps(listed(unreadable=True))], ["components"]),
    "contradicting": (
        [SEEN, json.dumps(decided("Turn left at the corner.", longitudinal=None, lateral=TURN)), json.dumps(REPAIRED)],
        ["components", "label", "repair"],
    ),
}


@pytest.mark.parametrize("save_prompt", ["full", "reference"])
@pytest.mark.parametrize("kind", TWO_STAGES)
def test_the_requests_of_both_stages_are_those_that_were_sent(model, server, kind, save_prompt):
    answers, purposes = TWO_STAGES[kind]
    server.script = [Ok(text) for text in answers]
    assert model(TO_THE_RIGHT, save_prompt=save_prompt, **STAGES) == 0
    shown = show_request(record_of(model))
    assert [one.call.purpose for one in shown] == purposes
    assert [to_bytes(one.body)[0] for one in shown] == [request.body for request in server.requests]
    assert all(one.same for one in shown)


def test_a_record_says_what_was_shown_in_which_stage(model, server):
    server.script = [Ok(SEEN), Ok(json.dumps(decided("Keep the speed.")))]
    assert model(TO_THE_RIGHT, **STAGES) == 0
    prompt = model.only_record().prompt
    times = {stage: [f.label for m in prompt if m.stage == stage for f in references(m)] for stage in (1, 2)}
    assert (len(times[1]), times[1][-1]) == (5, "t=0.00s")
    assert (len(times[2]), times[2][0]) == (11, "t=0.50s")


def test_the_static_part_is_kept_once_where_prompts_are_kept_by_reference(model):
    assert model(save_prompt="reference") == 0
    (kept,) = model.folder.glob("prompt.*.txt")
    system = {record.prompt[0].content for record in model.records().values()}
    assert system == {kept.name}


def test_a_folder_that_was_moved_shows_the_same(model, server, tmp_path):
    assert model(ONE, save_prompt="reference") == 0
    moved = shutil.move(model.folder, tmp_path / "moved")
    (record,) = Path(moved).rglob("cot_*.yaml")
    (shown,) = show_request(str(record))
    assert to_bytes(shown.body)[0] == server.requests[0].body


def test_a_record_named_from_within_its_folder(model, monkeypatch):
    assert model(ONE) == 0
    monkeypatch.chdir(model.folder / "clip_1")
    (shown,) = show_request("cot_6000000.yaml")
    assert shown.same


def test_a_dataset_that_was_moved_is_named_by_hand(model, tmp_path):
    shutil.copytree(model.inputs.data_dir, tmp_path / "before")
    assert model(ONE, data__data_dir=str(tmp_path / "before")) == 0
    shutil.move(tmp_path / "before", tmp_path / "after")
    with pytest.raises(Exception, match="before"):
        show_request(record_of(model))
    (shown,) = show_request(record_of(model), str(tmp_path / "after"))
    assert shown.same


def test_another_video_is_noticed(model, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(model.inputs.data_dir, data)
    assert model(ONE, data__data_dir=str(data)) == 0
    add_video(data, "clip_1", small_video(options=(("crf", "35"),)))
    (shown,) = show_request(record_of(model))
    assert not shown.same
    told = coc("show-request", record_of(model))
    assert "NOT the same as sent" in told.out + told.err


def test_a_video_that_is_gone_is_named(model, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(model.inputs.data_dir, data)
    assert model(ONE, data__data_dir=str(data)) == 0
    (data / f"clip_1.{CAMERA}.mp4").unlink()
    with pytest.raises(CocLabelingError, match=f"clip_1.{CAMERA}.mp4"):
        show_request(record_of(model))


def test_hosted_models_need_no_credentials_for_it(model, server, monkeypatch):
    for name in [n for n in os.environ if n.startswith(("NVHOST", "NVIDIA", "NV_", "OPENAI"))]:
        monkeypatch.delenv(name)
    with monkeypatch.context() as patch:
        patch.setenv("NVHOST_OAI_CLIENT_ID", "an-id")
        patch.setenv("NVHOST_OAI_CLIENT_SECRET", "a-secret")
        patch.setattr(
            OpenAIWrapper,
            "endpoints",
            ProviderEndpoints(oauth_url=f"{server.root}/token", azure_base_url=f"{server.root}/azure"),
        )
        assert model(ONE, model_name="gpt5") == 0
    (shown,) = show_request(record_of(model))
    assert shown.same
    assert to_bytes(shown.body)[0] == server.requests[0].body


def test_servers_are_not_asked_for_it(model, server):
    assert model(ONE, model_name="qwen3.5_35b", server_ip=f"127.0.0.1:{server.port}") == 0
    server.model_requests.clear()
    asked = model.asked
    (shown,) = show_request(record_of(model))
    assert shown.same
    assert shown.body["model"] == "fake-model"
    assert (model.asked, server.model_requests) == (asked, [])


def test_on_the_terminal_pictures_are_cut_and_in_full_they_are_not(model, server):
    assert model(ONE) == 0
    short, full = coc("show-request", record_of(model)), coc("show-request", record_of(model), "--full")
    assert (short.code, full.code) == (0, 0), short.err + full.err
    assert "label: sha256" in short.err
    assert ", the same as sent" in short.err
    assert len(short.out) < len(server.requests[0].body) / 2
    picture = server.requests[0].json["messages"][-1]["content"][-1]["image_url"]["url"]
    assert picture in full.out
    assert picture not in short.out


def test_records_of_rules_have_no_request(inputs, tmp_path):
    assert inputs.label(tmp_path) == 0
    record = next(tmp_path.rglob("cot_*.yaml"))
    with pytest.raises(CocLabelingError, match="no model was asked for this record"):
        show_request(str(record))


def test_without_the_run_s_configuration_the_message_says_what_is_needed(model):
    assert model(ONE) == 0
    (model.folder / "run_config.json").unlink()
    with pytest.raises(CocLabelingError, match=r"run_config\.json: expected the configuration"):
        show_request(record_of(model))


@pytest.mark.parametrize("content", ["{torn", "[]", '{"data": 5}', '{"model_name": "openai_compatible"}'])
def test_a_damaged_configuration_is_named(model, content):
    assert model(ONE) == 0
    (model.folder / "run_config.json").write_text(content)
    with pytest.raises(CocLabelingError, match=r"run_config\.json"):
        show_request(record_of(model), "/somewhere")


def test_a_static_prompt_that_is_gone_is_named(model):
    assert model(ONE, save_prompt="reference") == 0
    (kept,) = model.folder.glob("prompt.*.txt")
    kept.unlink()
    with pytest.raises(CocLabelingError, match=kept.name):
        show_request(record_of(model))


@pytest.mark.parametrize("path", ["nowhere/cot_1.yaml", "labels.parquet", "run_config.json"])
def test_what_is_no_record_is_named(model, path):
    assert model(ONE) == 0
    answered = coc("show-request", model.folder / path)
    assert answered.code == 2
    assert path.rpartition("/")[2] in answered.err.replace("\n", "")
    assert "Traceback" not in answered.err


def test_a_record_cannot_make_it_read_files_elsewhere(model, tmp_path):
    (tmp_path / "private.txt").write_text("CANARY")
    assert model(ONE, save_prompt="reference") == 0
    path = Path(record_of(model))
    content = yaml.safe_load(path.read_text())
    content["results"]["prompt"][0]["content"] = "../../private.txt"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CocLabelingError, match=r"private\.txt"):
        show_request(str(path))
