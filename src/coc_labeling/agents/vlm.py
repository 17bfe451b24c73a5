"""The single pass: one question shows the whole window and brings the label; a second one repairs contradictions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from coc_labeling.agents.answers import (
    RepairAnswer,
    SentenceAnswer,
    StructuredAnswer,
    UnusableAnswerError,
    to_label,
)
from coc_labeling.agents.base import Ask, CameraFrames, Labelled, ModelAgent, PreparedWindow
from coc_labeling.agents.consistency import contradictions, driven_facts
from coc_labeling.agents.repair import repaired_label
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import Part, kept
from coc_labeling.errors import CocLabelingError
from coc_labeling.prompts import Prompts, single_pass
from coc_labeling.prompts.window_text import MOTION_HEADING, meta_action_text, seconds, speed_text, window_text
from coc_labeling.schema import CoCLabel, Repair, abstain
from coc_labeling.windows import Sampling, Window

MORE_TOKENS = 2  # times as many for an answer that was cut off
_REFUSED = ("refusal", "content_filter")
_PROBLEM_CHARS = 600
_SHOWN_ANSWER_CHARS = 8_000


@dataclass(frozen=True)
class MotionText:
    """How meta-actions and speeds are shown.

    Attributes:
        meta_actions, speeds: when they are sampled.
        as_words: "Maintain Speed" instead of "MaintainSpeed".
        with_times: a time before each line of meta-actions.
    """

    meta_actions: Sampling
    speeds: Sampling
    as_words: bool = True
    with_times: bool = True


class VLMCoCAgent(ModelAgent):
    """Asks once per window; with ``check`` a label that contradicts ego's motion is repaired by a second question."""

    name: ClassVar[str] = "VLMCoCAgent"

    def __init__(self, motion: MotionText, *, structured: bool, check: bool, max_tokens: int) -> None:
        self.motion = motion
        self.check = check
        self.max_tokens = max_tokens
        self.prompts: Prompts = single_pass(structured=structured)
        self.form: type[BaseModel] = StructuredAnswer if structured else SentenceAnswer
        self.repair_form: type[BaseModel] = RepairAnswer if structured else SentenceAnswer
        schemas = [form.model_json_schema() for form in (self.form, self.repair_form)]
        self.prompt_version = self.prompts.version
        self.prompt_hash = self.prompts.hash_with(*schemas)

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent of ``vlm_agent`` and of what ``data_loader`` says about motion."""
        shown, vector, settings = config.data_loader.meta_action, config.data_loader.vector, config.vlm_agent
        motion = MotionText(
            Sampling(shown.hist_length_sec, shown.fut_length_sec, shown.time_interval),
            Sampling(vector.hist_length_sec, vector.fut_length_sec, vector.time_interval),
            as_words=shown.convert2text,
            with_times=shown.add_ts_prefix,
        )
        return cls(
            motion,
            structured=settings.structured_output,
            check=settings.use_metaaction_check_pipeline,
            max_tokens=settings.max_tokens,
        )

    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return instructions first, then what is known of the window, its frames last."""
        motion = self._motion_text(window)
        missing = [_missing_text(frames) for frames in cameras if frames.missing]
        cut = window_text(window, missing)
        known = f"# Window\n{cut}\n\n{motion}" if cut else motion
        parts = [Part("system", self.prompts.system), Part("user", known)]
        for frames in cameras:
            if frames.shots:
                parts.append(Part("user", f"# Frames of {frames.camera}"))
                labels = ((seconds(shot.t_us - window.t0_us, 2), shot) for shot in frames.shots)
                parts.append(Part("user", frames=tuple(labels)))
        info = window.info.model_copy(
            update={
                "frames": sum(len(frames.shots) for frames in cameras),
                "missing_frames": sum(frames.missing for frames in cameras),
                "notes": tuple(note for frames in cameras for note in frames.notes),
            }
        )
        return PreparedWindow(window.keyframe, info, window.starting, tuple(parts), driven_facts(window), motion)

    def _motion_text(self, window: Window) -> str:
        style = {"as_words": self.motion.as_words, "with_times": self.motion.with_times}
        actions = meta_action_text(window, self.motion.meta_actions, **style)
        speeds = speed_text(window, self.motion.speeds)
        return f"{MOTION_HEADING}{actions}\n\n# Ego speed (m/s)\n{speeds}"

    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask, and where it is switched on compare with ego's motion and repair."""
        label = await self._ask_for_label(prepared, ask)
        if not self.check or label.abstention is not None:
            return Labelled(label)
        reasons = contradictions(label, prepared.facts)
        return await self._repaired(label, reasons, prepared, ask) if reasons else Labelled(label)

    async def _ask_for_label(self, prepared: PreparedWindow, ask: Ask) -> CoCLabel:
        result = await ask("label", prepared.parts, self.form, self.max_tokens)
        if _cut_off(result):
            result = await ask("more_tokens", prepared.parts, self.form, self.max_tokens * MORE_TOKENS)
        declined = _declined(result)
        if declined is not None:
            return declined
        try:
            return to_label(result["content"], self.form)
        except UnusableAnswerError:
            if _cut_off(result):
                limit = self.max_tokens * MORE_TOKENS
                return abstain("truncated_answer", f"the answer was cut off twice, the second time at {limit} tokens")
            return await self._again(prepared, result, ask)

    async def _again(self, prepared: PreparedWindow, result: dict, ask: Ask) -> CoCLabel:
        """Say what was wrong with an answer and ask once more."""
        parts = self.again_parts(prepared.parts, _text(result))
        result = await ask("again", parts, self.form, self.max_tokens)
        declined = _declined(result)
        if declined is not None:
            return declined
        try:
            return to_label(result["content"], self.form)
        except UnusableAnswerError as second:
            return abstain("invalid_answer", f"asked twice; the second answer: {str(second)[:_PROBLEM_CHARS]}")

    async def _repaired(self, label: CoCLabel, reasons: list[str], prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Have a contradicting label repaired, without the scene; one that still contradicts becomes an abstention."""
        parts = self.repair_parts(label, reasons, prepared.motion_text)
        result = await ask("repair", parts, self.repair_form, self.max_tokens)
        before = str(label.effect_on_ego_behavior)
        try:
            if (declined := _declined(result)) and declined.abstention:
                raise UnusableAnswerError(declined.abstention.detail)
            after = repaired_label(label, result["content"], self.repair_form)
        except UnusableAnswerError as error:
            detail = f"{'; '.join(reasons)}. The repair could not be used: {str(error)[:_PROBLEM_CHARS]}"
            failed = Repair(outcome="failed", reasons=tuple(reasons), before=before)
            return Labelled(abstain("contradicts_motion", detail), failed)
        repair = Repair(
            outcome="repaired", reasons=tuple(reasons), before=before, after=str(after.effect_on_ego_behavior)
        )
        if left := contradictions(after, prepared.facts):
            detail = f"{'; '.join(reasons)}. After the repair still: {'; '.join(left)}"
            return Labelled(abstain("contradicts_motion", detail), repair.model_copy(update={"outcome": "failed"}))
        return Labelled(after, repair)

    def again_parts(self, parts: Sequence[Part], answer: str) -> list[Part]:
        """Return the conversation that asks once more, after an answer that could not be used."""
        answer = kept(answer)
        problem = self.prompts.again.replace("{problem}", self._complaint(answer)[:_PROBLEM_CHARS])
        said = [Part("assistant", answer[:_SHOWN_ANSWER_CHARS])] if answer.strip() else []
        return [*parts, *said, Part("user", problem)]

    def _complaint(self, answer: str) -> str:
        try:
            to_label(answer, self.form)
        except UnusableAnswerError as error:
            return str(error)
        return "it was cut off or not understood."

    def repair_parts(self, label: CoCLabel, reasons: Sequence[str], motion_text: str) -> list[Part]:
        """Return the conversation that repairs a label: without the scene, so that no cause can be added."""
        shown = label.model_dump(mode="json", exclude={"schema_version", "taxonomy_version", "abstention"})
        if self.form is SentenceAnswer:
            shown = {"effect_on_ego_behavior": label.effect_on_ego_behavior}
        contradicts = "\n".join(f"- {reason}" for reason in reasons)
        text = f"# Label\n{json.dumps(shown, indent=1)}\n\n# Contradiction\n{contradicts}\n\n{motion_text}"
        return [Part("system", self.prompts.repair), Part("user", text)]


class VLMCoCRemoteAgent(VLMCoCAgent):
    """The same agent for models behind ``server_ip``, which it requires."""

    name: ClassVar[str] = "VLMCoCRemoteAgent"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent; raises CocLabelingError without server_ip."""
        if not config.server_ip:
            raise CocLabelingError(
                f"vlm_agent.agent_name={cls.name}: server_ip is required, one or several servers such as "
                "server_ip=127.0.0.1:8000."
            )
        return super().of(config)


def _missing_text(frames: CameraFrames) -> str:
    if not frames.shots:
        return f"There is no frame of {frames.camera}."
    return f"{frames.missing} of {frames.missing + len(frames.shots)} frames of {frames.camera} do not exist."


def _text(result: dict[str, Any]) -> str:
    content = result.get("text", result.get("content"))
    return content if isinstance(content, str) else json.dumps(content)


def _cut_off(result: dict[str, Any]) -> bool:
    """Say whether an answer ended for want of tokens; one that is whole all the same counts as whole."""
    return result.get("finish_reason") == "length" and not isinstance(result.get("content"), dict)


def _declined(result: dict[str, Any]) -> CoCLabel | None:
    """Return the abstention that a refusal or an empty answer is."""
    if result.get("finish_reason") in _REFUSED:
        said = _text(result).strip()[:200]
        return abstain("refused", f"{result['finish_reason']}: {said or 'no words with it'}")
    content = result.get("content")
    if content is None or (isinstance(content, str) and not content.strip()):
        if _cut_off(result):
            return abstain("truncated_answer", "no answer before the tokens ran out; raise vlm_agent.max_tokens")
        return abstain("empty_answer", f"the model answered nothing (finish_reason {result.get('finish_reason')})")
    return None
