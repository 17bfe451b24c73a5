"""Predictions of a model that was trained without reasoning: it is asked for the trajectory alone."""

from collections.abc import Sequence
from typing import Any

from alpamayo_r1.helper import REQUESTS
from alpamayo_r1.infer.predictor import ModelPredictor, open_predictor
from alpamayo_r1.infer.request import InferRequest
from alpamayo_r1.models.token_utils import to_special_token

_ASKED = f"{REQUESTS['cot']}, then {REQUESTS['traj_future']}"


class DrivingOnlyProcessor:
    """A processor that asks for the trajectory where reasoning and trajectory are asked for."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def apply_chat_template(self, messages: Sequence[Sequence[dict[str, Any]]], **kwargs: Any) -> Any:
        """Return what the processor makes of the changed messages."""
        return self._processor.apply_chat_template([_driving_only(one) for one in messages], **kwargs)


def _driving_only(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    system, user, assistant = messages
    *images, text = user["content"]
    asked = text["text"].replace(_ASKED, REQUESTS["traj_future"])
    assert asked != text["text"], "the prompt of coc infer asks for reasoning and trajectory"
    begun = {"type": "text", "text": to_special_token("traj_future_start")}
    return [
        system,
        {**user, "content": [*images, {"type": "text", "text": asked}]},
        {**assistant, "content": [begun]},
    ]


def open_driving_only(request: InferRequest) -> ModelPredictor:
    """Load the model of a request; raises as ``open_predictor``."""
    usual = open_predictor(request)
    return ModelPredictor(usual.model, DrivingOnlyProcessor(usual.processor))
