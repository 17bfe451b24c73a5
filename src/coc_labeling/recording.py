"""From a model's answer to a record on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coc_labeling.agents.base import Labelled, ModelAgent, PreparedWindow
from coc_labeling.asking import WindowAsk
from coc_labeling.conversation import Part
from coc_labeling.prompts import text_hash
from coc_labeling.results import ExperimentFolder
from coc_labeling.schema import PromptMessage, Provenance, Record, released_content
from driving_clips import files

REFERENCE = "reference"
_NOT_SAMPLING = ("model", "max_tokens", "max_completion_tokens", "stream")


@dataclass(frozen=True)
class Recorder:
    """Writes the records of a run.

    Attributes:
        folder: where they go.
        agent: who labels.
        made_by: what all records of the run have in common.
        save_prompt: "full", or "reference": the static part of the prompt is kept once, in ``prompt.<hash>.txt``.
    """

    folder: ExperimentFolder
    agent: ModelAgent
    made_by: Provenance
    save_prompt: str = "full"

    def write(self, prepared: PreparedWindow, labelled: Labelled, asked: WindowAsk) -> dict[str, Any]:
        """Write one record; returns its row of ``labels.parquet``."""
        return self.folder.write(self.record(prepared, labelled, asked))

    def record(self, prepared: PreparedWindow, labelled: Labelled, asked: WindowAsk) -> Record:
        """Return the record of a window."""
        keyframe, label = prepared.keyframe, labelled.label
        first = asked.calls[0].request_hash if asked.calls else ""
        return Record(
            clip_id=keyframe.clip_id,
            event_start_frame=keyframe.frame,
            event_start_timestamp=keyframe.t_us,
            final_content=released_content(label),
            label=label,
            meta_actions=prepared.starting,
            window=prepared.info,
            provenance=self.made_by.model_copy(
                update={
                    "model_id": asked.asker.model_id,
                    "model_revision": asked.fingerprint,
                    "request_hash": first,
                    "sampling": self._sampling(asked),
                }
            ),
            usage=asked.usage,
            calls=tuple(asked.calls),
            repair=labelled.repair,
            prompt=self._prompt(prepared),
        )

    def _prompt(self, prepared: PreparedWindow) -> tuple[PromptMessage, ...]:
        """Return what was said; of agents that ask in steps, with the step it was said in."""
        first = [self._reference(part) for part in prepared.parts]
        if not prepared.later:
            return tuple(first)
        later = [self._reference(part) for part in prepared.later]
        staged = ((1, first), (2, later))
        return tuple(m.model_copy(update={"stage": stage}) for stage, messages in staged for m in messages)

    def _sampling(self, asked: WindowAsk) -> dict[str, Any]:
        return {**self.made_by.sampling, "max_tokens": asked.calls[0].max_tokens} if asked.calls else {}

    def _reference(self, part: Part) -> PromptMessage:
        message = part.reference()
        if self.save_prompt != REFERENCE or part.role != "system":
            return message
        return message.model_copy(update={"m_type": REFERENCE, "content": keep_text(self.folder.path, part.text)})


def keep_text(folder: str, text: str) -> str:
    """Write a static prompt beside the run's tables, once; returns the file's name."""
    name = f"prompt.{text_hash(text)}.txt"
    path = files.join(folder, name)
    if not files.exists(path):
        files.write_atomic(path, text)
    return name


def sent_sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a request's body says how an answer is sampled: its plain values."""
    plain = {key: value for key, value in body.items() if isinstance(value, str | int | float | bool)}
    return {key: value for key, value in plain.items() if key not in _NOT_SAMPLING}
