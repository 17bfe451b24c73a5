"""Steps of a review as rows of the table ``events``, and back."""

import json

from pydantic import BaseModel, ValidationError

from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import HistoryAnswer, Judgement
from coc_labeling.review.phases import HistoryDone, HistorySkipped, Judged, Opened, Step, Undone

_EMPTY: dict[str, Step] = {"opened": Opened(), "history_skipped": HistorySkipped(), "undone": Undone()}


def as_event(step: Step) -> tuple[str, str]:
    """Return the kind of a step's event and its content, a JSON object."""
    match step:
        case HistoryDone(answer):
            return "history_done", _json(answer)
        case Judged(judgement):
            return "judged", _json(judgement)
    return next(kind for kind, empty in _EMPTY.items() if empty == step), "{}"


def as_step(kind: str, content: str) -> Step:
    """Return the step that an event holds; raises ReviewError where it holds none."""
    if kind in _EMPTY:
        return _EMPTY[kind]
    try:
        if kind == "history_done":
            return HistoryDone(HistoryAnswer.model_validate_json(content))
        if kind == "judged":
            return Judged(Judgement.model_validate_json(content))
    except ValidationError as error:
        raise ReviewError(f"event {kind}: its content cannot be read ({error}).") from error
    raise ReviewError(f"event {kind}: unknown. It was written by a newer version of coc-toolkit.")


def _json(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
