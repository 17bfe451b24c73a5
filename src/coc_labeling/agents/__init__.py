"""The agents that label windows; more are added by the entry-point group ``coc_labeling.agents``."""

from coc_labeling.agents.base import Agent
from coc_labeling.agents.dummy import DummyAgent
from coc_labeling.agents.rules import RulesAgent
from coc_labeling.errors import CocLabelingError
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.agents"
AGENTS: dict[str, type[Agent]] = {"rules": RulesAgent, "dummy": DummyAgent}


def create_agent(model_name: str) -> Agent:
    """Return the agent that ``model_name`` selects; raises CocLabelingError listing the known ones."""
    try:
        agent: Agent = registry.look_up("model_name", model_name, AGENTS, ENTRY_POINTS)()
    except KeyError as error:
        raise CocLabelingError(error.args[0]) from error
    return agent
