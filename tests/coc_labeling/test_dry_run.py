import json
import re

import pytest

from builders.commands import contents
from builders.model_runs import KEY, MANY, MOMENTS, PLENTY, answer


@pytest.fixture
def said(model, capfd):
    """Dry-run; returns what was printed."""

    def run(moments=None, **settings) -> str:
        assert model.dry_run(moments, **settings) == 0
        return capfd.readouterr().out

    return run


def number(pattern: str, text: str) -> float:
    (found,) = re.findall(pattern, text)
    return float(found)


def test_nothing_is_sent_and_nothing_written(said, model, server):
    before = contents(model.root) | contents(model.inputs.root)
    text = said()
    assert "nothing is sent" in text
    assert (server.requests, server.model_requests, server.token_requests) == ([], [], [])
    assert not model.out.exists()
    after = contents(model.root) | contents(model.inputs.root)
    after.pop("keyframes.json")
    assert after == before


def test_the_key_of_the_configuration_does_the_same_as_the_option(model, server, capfd):
    assert model(dry_run="true") == 0
    assert "nothing is sent" in capfd.readouterr().out
    assert server.requests == []
    assert not model.out.exists()


def test_as_real_processes_do_it_too(spawning, server, capfd):
    assert spawning.dry_run() == 0
    assert f"{len(MOMENTS)} requests, {16 * len(MOMENTS)} pictures" in capfd.readouterr().out
    assert server.requests == []


def test_windows_pictures_bytes_and_host_are_those_of_the_run(said, model, server):
    text = said()
    assert f"{len(MOMENTS)} windows selected, {len(MOMENTS)} to label" in text
    assert "hosts: 127.0.0.1" in text
    assert model() == 0
    pictures = sum(str(request.json).count("data:image/jpeg") for request in server.requests)
    assert f"{len(MOMENTS)} requests, {pictures} pictures, " in text
    sent = sum(len(request.body) for request in server.requests) / 1e6
    assert number(r"pictures, ([\d.]+) MB \(measured\)", text) == pytest.approx(sent, abs=0.06)


def test_both_requests_of_two_stages_are_told(said, model, server):
    two = {"vlm_agent__agent_name": "TwoStageCoCAgent"}
    text = said(**two)
    assert model(**two) == 0
    pictures = sum(str(request.json).count("data:image/jpeg") for request in server.requests)
    assert (len(server.requests), pictures) == (2 * len(MOMENTS), (5 + 16) * len(MOMENTS))
    assert f"{2 * len(MOMENTS)} requests, {pictures} pictures, " in text
    sent = sum(len(request.body) for request in server.requests) / 1e6
    assert number(r"pictures, ([\d.]+) MB \(measured\)", text) == pytest.approx(sent, abs=0.06)


def test_bytes_are_told_exactly(model, server, capfd, monkeypatch):
    assert model.dry_run(MANY) == 0
    estimated = number(r"pictures, ([\d.]+) MB", capfd.readouterr().out)
    assert model(MANY) == 0
    sent = sum(len(request.body) for request in server.requests)
    assert abs(estimated - sent / 1e6) <= 0.05 + 0.02 * sent / 1e6


def test_tokens_are_within_a_third_of_the_text_and_patches_that_are_sent(said, model, server):
    told = number(r"about (\d+) \+ \d+ tokens", said())
    assert model() == 0
    texts = [part.get("text", "") for r in server.requests for m in r.json["messages"] for part in m["content"]]
    pictures = 16 * len(MOMENTS)
    expected = sum(map(len, texts)) / 4 + pictures * (3 * 2 + 2)  # patches of 32 x 32 in 96 x 64, and two marks
    assert told == pytest.approx(expected, rel=1 / 3)


def test_cost_follows_from_the_price(said):
    text = said(price__prompt=1000, price__response=2000)
    prompt, response = number(r"about (\d+) \+", text), number(r"\+ (\d+) tokens", text)
    assert number(r"about ([\d.]+) USD", text) == pytest.approx((prompt * 1000 + response * 2000) / 1e6, abs=0.006)


def test_without_a_price_the_keys_to_set_are_named(said):
    assert "price unknown: set price.prompt and price.response" in said()


def test_of_many_windows_some_are_measured(said, model, server):
    assert len(PLENTY) > 24
    text = said(PLENTY)
    assert "estimated from 24 windows" in text
    assert f"{len(PLENTY)} requests, {16 * len(PLENTY)} pictures" in text


@pytest.mark.parametrize(("limit", "warned"), [(1000, True), (10_000_000, False)])
def test_a_limit_on_tokens_that_will_be_reached_is_told(said, limit, warned):
    assert (f"max_total_tokens={limit} will stop the run before its end" in said(max_total_tokens=limit)) == warned


@pytest.mark.parametrize(("limit", "warned"), [(0.01, True), (1000, False)])
def test_a_limit_on_cost_that_will_be_reached_is_told(said, limit, warned):
    text = said(max_cost_usd=limit, price__prompt=100, price__response=100)
    assert (f"max_cost_usd={limit} will stop the run before its end" in text) == warned


def test_a_model_that_is_none_sends_nothing_anywhere(said, server):
    assert "nothing leaves this machine" in said(model_name="rules")


def test_the_dummy_knows_no_host(said):
    assert "hosts: none known" in said(model_name="dummy")


def test_windows_without_video_are_told(said, model, tmp_path):
    text = said([("clip_0", 60), ("clip_0", 900), ("clip_1", 60)])
    assert "of 3 windows looked at, 1 cannot be asked about:" in text
    assert "clip_0/cot_90000000.yaml: " in text
    assert "2 requests, 32 pictures" in text


def test_when_no_window_can_be_asked_about_there_is_nothing_to_send(said):
    assert "nothing to send" in said([("clip_0", 900)])


def test_of_a_run_to_resume_only_the_rest_is_counted(said, model, server, capfd):
    server.answer = lambda request: answer()
    assert model(MOMENTS[:4]) == 0
    capfd.readouterr()
    before = contents(model.out)
    text = said(resume_exp_dir=str(model.folder))
    assert f"{len(MOMENTS)} windows selected, {len(MOMENTS) - 4} to label" in text
    assert contents(model.out) == before


def test_segment_videos_are_not_written_either(said, tmp_path):
    said(
        data_loader__video__save_segment_videos="true",
        data_loader__video__segment_video_output_dir=str(tmp_path / "segments"),
    )
    assert not (tmp_path / "segments").exists()


def test_what_a_run_would_refuse_a_dry_run_refuses(model, capfd):
    assert model.dry_run(openai_compatible__base_url="http://example.com/v1") == 2
    assert "egress.allow_hosts=[example.com]" in capfd.readouterr().err


def test_hosts_and_prices_of_hosted_models_are_told_without_a_request(said, model, monkeypatch):
    for name in ("NVHOST_OAI_CLIENT_ID", "NVIDIA_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    text = said(model_name="gpt5")
    assert "hosts: api.openai.com" in text
    assert re.search(r"about \d+\.\d\d USD", text)
    assert KEY not in text


def test_requests_are_built_as_they_would_be_sent(model, server, monkeypatch):
    """The bytes that are told are those of whole requests, schema and all."""
    from coc_labeling import dry_run

    bodies = []
    measure = dry_run._bytes_of
    monkeypatch.setattr(dry_run, "_bytes_of", lambda body: bodies.append(body) or measure(body))
    assert model.dry_run() == 0
    assert model(max_in_flight=1) == 0
    assert [json.loads(json.dumps(body)) for body in bodies] == [request.json for request in server.requests]
