"""Wrappers of models: one small interface to hosted and local ones, open to the user's own."""

from coc_labeling.model_clients.vlm_wrappers.cloud import OpenAIWrapper, model_name_map
from coc_labeling.model_clients.vlm_wrappers.common import (
    BaseWrapper,
    LocalSettings,
    ModelSettings,
    TimedFrame,
    encode_image,
)
from coc_labeling.model_clients.vlm_wrappers.dummy import DummyWrapper
from coc_labeling.model_clients.vlm_wrappers.factory import MODEL_WRAPPER_REGISTRY, create_model_wrapper
from coc_labeling.model_clients.vlm_wrappers.qwen import QWEN_MODEL_SPECS, QwenWrapper

__all__ = [
    "MODEL_WRAPPER_REGISTRY",
    "QWEN_MODEL_SPECS",
    "BaseWrapper",
    "DummyWrapper",
    "LocalSettings",
    "ModelSettings",
    "OpenAIWrapper",
    "QwenWrapper",
    "TimedFrame",
    "create_model_wrapper",
    "encode_image",
    "model_name_map",
]
