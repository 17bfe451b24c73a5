"""From a model's name to its wrapper."""

from collections.abc import Sequence
from typing import Any

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.cloud import OpenAIWrapper
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper, ModelSettings
from coc_labeling.model_clients.vlm_wrappers.dummy import DummyWrapper
from coc_labeling.model_clients.vlm_wrappers.qwen import QwenWrapper
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.model_wrappers"

MODEL_WRAPPER_REGISTRY: dict[str, type] = {
    "qwen3_vl_235b_awq": QwenWrapper,
    "qwen3.5_35b": QwenWrapper,
    "qwen3.5_397b_fp8": QwenWrapper,
    "gpt5": OpenAIWrapper,
    "gpt5.5": OpenAIWrapper,
    "openai_compatible": OpenAIWrapper,
    "dummy": DummyWrapper,
}


def create_model_wrapper(
    model_name: str,
    ip_addr: str | Sequence[str] | None = None,
    timeout_sec: float = 600,
    settings: ModelSettings | None = None,
    *,
    init_model: bool = True,
) -> Any:
    """Return a wrapper that is ready for requests; nothing is opened yet.

    A class of the user's own needs the constructor, ``add_message`` and ``infer`` only; settings are for ours.

    Args:
        model_name: a key of ``MODEL_WRAPPER_REGISTRY`` or the name of an entry point ``coc_labeling.model_wrappers``.
        ip_addr: servers, for models that take them.
        timeout_sec: of one attempt, in s.
        settings: how models are reached, None for the defaults.
        init_model: False for a wrapper that only builds requests: no credentials or addresses are looked for.

    Raises:
        CocLabelingError: unknown name; or the wrapper's own error about credentials, addresses or hosts.
    """
    try:
        wrapper_class = registry.look_up("model_name", model_name, MODEL_WRAPPER_REGISTRY, ENTRY_POINTS)
    except KeyError as error:
        raise CocLabelingError(error.args[0]) from None
    except (ImportError, AttributeError) as error:
        raise CocLabelingError(
            f"model_name={model_name}: its entry point in the group {ENTRY_POINTS} cannot be loaded ({error})."
        ) from error
    try:
        wrapper = wrapper_class(model_name, init_model=init_model, ip_addr=ip_addr, timeout_sec=timeout_sec)
    except TypeError as error:
        raise CocLabelingError(
            f"model_name={model_name}: expected a class with the constructor (model_name, init_model=True, "
            f"ip_addr=None, timeout_sec=600), found {wrapper_class!r} ({error})."
        ) from error
    if isinstance(wrapper, BaseWrapper):
        if init_model:
            wrapper.configure(settings or ModelSettings())
        else:
            wrapper.settings = settings or ModelSettings()
    return wrapper
