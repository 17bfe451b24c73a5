"""The agents that label windows: those that ask no model, by ``model_name``, and those that do, by ``agent_name``.

More are added by the entry-point groups ``coc_labeling.agents`` and ``coc_labeling.model_agents``.
"""

from coc_labeling.agents.base import Agent, ModelAgent
from coc_labeling.agents.rules import RulesAgent
from coc_labeling.agents.vlm import MotionText, VLMCoCAgent, VLMCoCRemoteAgent
from coc_labeling.config.schema import RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.factory import ENTRY_POINTS as WRAPPER_ENTRY_POINTS
from coc_labeling.model_clients.vlm_wrappers.factory import MODEL_WRAPPER_REGISTRY
from coc_labeling.windows import Sampling
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.agents"
MODEL_ENTRY_POINTS = "coc_labeling.model_agents"
AGENTS: dict[str, type[Agent]] = {"rules": RulesAgent}
MODEL_AGENTS: dict[str, type[VLMCoCAgent]] = {"VLMCoCAgent": VLMCoCAgent, "VLMCoCRemoteAgent": VLMCoCRemoteAgent}


def create_agent(config: RunConfig) -> Agent | ModelAgent:
    """Return the agent that ``model_name`` selects, or for a model the one that ``vlm_agent.agent_name`` does.

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
    settings = config.vlm_agent
    try:
        chosen = registry.look_up("vlm_agent.agent_name", settings.agent_name, MODEL_AGENTS, MODEL_ENTRY_POINTS)
    except KeyError as error:
        raise CocLabelingError(error.args[0]) from error
    if issubclass(chosen, VLMCoCRemoteAgent) and not config.server_ip:
        raise CocLabelingError(
            f"vlm_agent.agent_name={settings.agent_name}: server_ip is required, one or several servers such as "
            "server_ip=127.0.0.1:8000."
        )
    model_agent: ModelAgent = chosen(
        _motion_text(config),
        structured=settings.structured_output,
        check=settings.use_metaaction_check_pipeline,
        max_tokens=settings.max_tokens,
    )
    return model_agent


def _motion_text(config: RunConfig) -> MotionText:
    shown, vector = config.data_loader.meta_action, config.data_loader.vector
    return MotionText(
        Sampling(shown.hist_length_sec, shown.fut_length_sec, shown.time_interval),
        Sampling(vector.hist_length_sec, vector.fut_length_sec, vector.time_interval),
        as_words=shown.convert2text,
        with_times=shown.add_ts_prefix,
    )
