"""The agents that label windows: those that ask no model, by ``model_name``, and those that do, by ``agent_name``.

More are added by the entry-point groups ``coc_labeling.agents`` and ``coc_labeling.model_agents``.
"""

from coc_labeling.agents.base import Agent, ModelAgent
from coc_labeling.agents.rules import RulesAgent
from coc_labeling.agents.two_stage import TwoStageCoCAgent
from coc_labeling.agents.vlm import VLMCoCAgent, VLMCoCRemoteAgent
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.factory import ENTRY_POINTS as WRAPPER_ENTRY_POINTS
from coc_labeling.model_clients.vlm_wrappers.factory import MODEL_WRAPPER_REGISTRY
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.agents"
MODEL_ENTRY_POINTS = "coc_labeling.model_agents"
AGENTS: dict[str, type[Agent]] = {"rules": RulesAgent}
MODEL_AGENTS: dict[str, type[ModelAgent]] = {
    agent.name: agent for agent in (VLMCoCAgent, VLMCoCRemoteAgent, TwoStageCoCAgent)
}


def create_agent(config: RunConfig) -> Agent | ModelAgent:
    """Return the agent that ``model_name`` selects, or for a model its own or that of ``vlm_agent.agent_name``.

    Raises:
        CocLabelingError: an unknown name, the message lists the known ones; or an agent without the server it needs.
    """
    models = registry.names(MODEL_WRAPPER_REGISTRY, WRAPPER_ENTRY_POINTS)
    if config.model_name not in models:
        if config.model_name not in registry.names(AGENTS, ENTRY_POINTS):
            known = [*registry.names(AGENTS, ENTRY_POINTS), *models]
            raise CocLabelingError(f"unknown model_name {config.model_name!r}; known: {', '.join(known)}")
        agent: Agent = registry.look_up("model_name", config.model_name, AGENTS, ENTRY_POINTS)()
        return agent
    own = _own_agent(config.model_name)
    if own is not None:
        agent_of_model: ModelAgent = own.of(config)
        return agent_of_model
    try:
        chosen = registry.look_up("vlm_agent.agent_name", config.vlm_agent.agent_name, MODEL_AGENTS, MODEL_ENTRY_POINTS)
    except KeyError as error:
        raise CocLabelingError(error.args[0]) from error
    model_agent: ModelAgent = chosen.of(config)
    return model_agent


def _own_agent(model_name: str) -> type[ModelAgent] | None:
    """Return the agent that a wrapper's class names as ``agent``: the only one that knows how to ask its model."""
    try:
        wrapper = registry.look_up("model_name", model_name, MODEL_WRAPPER_REGISTRY, WRAPPER_ENTRY_POINTS)
    except (ImportError, AttributeError):  # said in its own words where the wrapper is made
        return None
    own: type[ModelAgent] | None = getattr(wrapper, "agent", None)
    return own
