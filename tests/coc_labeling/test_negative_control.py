import json
from pathlib import Path

import pytest

from builders.asked import ScriptedAsk, decided, frames_of, labelled, listed, recorded_window
from builders.coc import coc
from builders.driving import drive
from builders.model_runs import MANY, MOMENTS
from coc_labeling.agents.negative_control import NegativeControlAgent
from coc_labeling.agents.two_stage_answers import read_components
from coc_labeling.conversation import references
from coc_labeling.errors import CocLabelingError
from coc_labeling.negative_control import exchanged, negative_control
from coc_labeling.records import from_yaml
from coc_labeling.saved_config import saved_config

AGENT = {"vlm_agent__agent_name": "TwoStageCoCAgent", "response_cache": "false"}


def said_in(request) -> list[str]:
    return [part.get("text", "") for message in request.json["messages"] for part in message["content"]]


class Scenes:
    """A model that sees in each window a thing of its own, and cites what is listed where it is that thing."""

    def __init__(self, *, honest: bool) -> None:
        self.honest = honest
        self.things: dict[str, str] = {}

    def __call__(self, request) -> str:
        own = self.things.setdefault(self.window(request), f"thing {len(self.things)}")
        if request.json["response_format"]["json_schema"]["name"] == "HistoryAnswer":
            return json.dumps(listed(own))
        fits = f"c1: {own} (" in said_in(request)[-1]
        return json.dumps(decided("Keep the speed.", *(["c1"] if fits or not self.honest else [])))

    def window(self, request) -> str:
        pictures = [p["image_url"]["url"] for m in request.json["messages"] for p in m["content"] if "image_url" in p]
        return "".join(pictures[:5]) + said_in(request)[1]


@pytest.fixture
def experiment(model, server):
    """Label with a model that is honest or not; returns the experiment's folder."""

    def label(*, honest: bool, moments=None) -> str:
        server.answer = Scenes(honest=honest)
        assert model(moments, **AGENT) == 0
        return str(model.folder)

    return label


def test_with_a_model_that_cites_what_fits_unobserved_dominates(experiment):
    control = negative_control(experiment(honest=True))
    assert (control.own.windows, control.own.unobserved, control.own.share) == (len(MOMENTS), 0, 0.0)
    assert (control.other.windows, control.other.share) == (len(MOMENTS), 1.0)
    assert control.passed


def test_with_a_model_that_cites_anything_it_does_not(experiment):
    control = negative_control(experiment(honest=False))
    assert (control.own.share, control.other.share, control.passed) == (0.0, 0.0, False)


def test_each_window_is_shown_as_before_but_for_the_list(experiment, server):
    run_dir = experiment(honest=True, moments=MOMENTS)
    first = {server.answer.window(r): r for r in server.requests if "HistoryAnswer" not in r.body.decode()}
    server.requests.clear()
    negative_control(run_dir)
    assert len(server.requests) == len(MOMENTS)
    for request in server.requests:
        before = said_in(first[server.answer.window(request)])
        changed = [(old, new) for old, new in zip(before, said_in(request), strict=True) if old != new]
        assert len(changed) == 2  # the answer of stage 1, and the reminder of its ids
        assert "thing" in changed[0][1]


def test_it_writes_an_experiment_of_its_own_that_says_what_it_is(experiment, model):
    control = negative_control(experiment(honest=True))
    folder = Path(control.result.folder.path)
    assert folder.name.endswith("_negative_control")
    kept = json.loads((folder / "negative_control.json").read_text())
    assert (kept["passed"], kept["other"]["decisions"]) == (True, len(MOMENTS))
    for path in folder.rglob("cot_*.yaml"):
        assert from_yaml(path.read_text(), "file").provenance.agent == "NegativeControl"


def test_a_sample_is_spread_over_the_clips(experiment, server):
    run_dir = experiment(honest=True, moments=MANY)
    server.requests.clear()
    control = negative_control(run_dir, sample=4)
    assert len(server.requests) == control.other.windows == 4
    assert len({path.parent.name for path in Path(control.result.folder.path).rglob("cot_*.yaml")}) == 4


def test_nobody_is_given_components_of_the_same_clip():
    own = {("a", 1): "a", ("a", 2): "a", ("a", 3): "a", ("b", 1): "b", ("c", 1): "c"}
    components = {moment: read_components(listed(name)) for moment, name in own.items()}
    donors = exchanged(components, "run")
    assert donors.keys() == own.keys()
    assert all(given[0].description != own[moment] for moment, given in donors.items())
    assert donors == exchanged(dict(reversed(components.items())), "run")


def test_labels_of_one_clip_are_too_few(experiment):
    run_dir = experiment(honest=True, moments=[("clip_1", 60), ("clip_1", 100)])
    with pytest.raises(CocLabelingError, match="found 2 of 1"):
        negative_control(run_dir)


def test_other_agents_have_no_list_to_exchange(model):
    assert model() == 0
    with pytest.raises(CocLabelingError, match="found one of VLMCoCAgent"):
        negative_control(str(model.folder))


@pytest.mark.parametrize(("honest", "code"), [(True, 0), (False, 1)])
def test_the_command_tells_and_its_exit_code_too(experiment, honest, code):
    told = coc("negative-control", experiment(honest=honest), "--sample", "4")
    assert told.code == code, told.err
    assert "own components: 0 of 4 decisions unobserved (0%), 4 labels" in told.out
    assert ("another clip's components: 4 of 4" in told.out) == honest
    assert "not for training" in told.out


def test_a_configuration_that_has_changed_since_is_told(experiment, server):
    run_dir = experiment(honest=True)
    told = coc("negative-control", run_dir, "openai_compatible.model=another")
    assert told.code == 0, told.err
    assert server.requests[-1].json["model"] == "another"
    assert "expected key=value" in coc("negative-control", run_dir, "another").err


def test_what_is_no_experiment_is_named(tmp_path):
    told = coc("negative-control", str(tmp_path))
    assert told.code == 2
    assert "run_config.json" in told.err


def test_records_of_the_control_show_the_frames_of_their_window(experiment):
    control = negative_control(experiment(honest=True))
    path = next(Path(control.result.folder.path).rglob("cot_*.yaml"))
    prompt = from_yaml(path.read_text(), "file").prompt
    assert sum(len(references(message)) for message in prompt) == 16


def test_a_control_is_no_experiment_to_control_or_to_go_on_with(experiment, model, capfd):
    control = negative_control(experiment(honest=True))
    folder = control.result.folder.path
    with pytest.raises(CocLabelingError, match="found a negative control"):
        negative_control(folder)
    assert model(resume_exp_dir=folder, **AGENT) == 2
    assert "cannot be resumed" in capfd.readouterr().err


def test_requests_of_a_control_are_not_shown_as_those_of_an_experiment(experiment):
    control = negative_control(experiment(honest=True))
    record = next(Path(control.result.folder.path).rglob("cot_*.yaml"))
    told = coc("show-request", record)
    assert told.code == 2
    assert "made by NegativeControl" in told.err


def test_moments_of_one_tick_are_two_moments(experiment, model, server, tmp_path):
    run_dir = experiment(honest=True)
    control = NegativeControlAgent.of(saved_config(run_dir, {})).with_donors({})
    own = recorded_window(drive())
    result = labelled(control, control.prepare(own, [frames_of(own)]), ScriptedAsk([]))
    assert result.label.abstention.reason == "not_in_sample"


def test_a_record_that_is_gone_is_named(experiment):
    run_dir = experiment(honest=True)
    record = next(Path(run_dir).rglob("cot_*.yaml"))
    record.unlink()
    told = coc("negative-control", run_dir)
    assert told.code == 2
    assert record.name in told.err.replace("\n", "")
    assert "resume_exp_dir" in told.err
