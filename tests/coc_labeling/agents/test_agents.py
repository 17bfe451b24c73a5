"""Which agent a configuration selects."""

import pytest

from builders.runs import config
from coc_labeling.agents import AGENTS, MODEL_AGENTS, create_agent
from coc_labeling.errors import CocLabelingError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model_name": "rules"}, "RulesAgent"),
        ({"model_name": "dummy"}, "VLMCoCAgent"),
        ({"model_name": "gpt5.5"}, "VLMCoCAgent"),
        (
            {"model_name": "qwen3.5_35b", "vlm_agent__agent_name": "VLMCoCRemoteAgent", "server_ip": "127.0.0.1"},
            "VLMCoCRemoteAgent",
        ),
    ],
)
def test_the_configuration_selects_the_agent(settings, expected):
    assert create_agent(config(**settings)).name == expected


def test_agents_are_registered_under_their_names():
    assert {name: agent.model for name, agent in AGENTS.items()} == {"rules": "rules"}
    assert {name: agent.name for name, agent in MODEL_AGENTS.items()} == {name: name for name in MODEL_AGENTS}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_name": "gpt9"}, "unknown model_name 'gpt9'; known: rules, qwen3_vl_235b_awq, .*gpt5.*dummy"),
        (
            {"model_name": "dummy", "vlm_agent__agent_name": "Nobody"},
            "unknown vlm_agent.agent_name 'Nobody'; known: VLM",
        ),
        ({"model_name": "dummy", "vlm_agent__agent_name": "VLMCoCRemoteAgent"}, "server_ip is required"),
    ],
)
def test_unknown_names_and_missing_servers_are_errors(settings, message):
    with pytest.raises(CocLabelingError, match=message):
        create_agent(config(**settings))
