"""Reasoning traces as labels: what the model writes about a keyframe becomes a record of Step 3."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

from pydantic import ValidationError

from alpamayo_r1.scenes import MODEL_CAMERAS, SceneShape, ego_path
from coc_labeling.agents.answers import not_a_sentence
from coc_labeling.agents.base import Ask, Labelled, ModelAgent, PreparedWindow
from coc_labeling.agents.consistency import driven_facts
from coc_labeling.agents.questions import text_of
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import CameraFrames, Part
from coc_labeling.footage import Footage
from coc_labeling.prompts import text_hash
from coc_labeling.reading import Reading, SaidCause, SaidDecision, read_sentence
from coc_labeling.schema import (
    UNOBSERVED,
    CoCLabel,
    Component,
    FactSource,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    abstain,
)
from coc_labeling.windows import Sampling, Window
from driving_clips.errors import ClipRejectedError
from driving_clips.video.pictures import ImageSettings

PROMPT_VERSION = "alpamayo_r1/1"
MAX_REASONING_TOKENS = 256  # as the released model is sampled
HISTORY_XYZ, HISTORY_ROT = "ego_history_xyz", "ego_history_rot"
_SHAPE = SceneShape(future_steps=0)
_DIGITS = 7  # of m and of rotations: what float32 holds
_JPEG_QUALITY = 95  # pictures are made smaller once more before the model sees them
_SAID_CHARS = 200


class ReasoningTraceAgent(ModelAgent):
    """Asks the reasoning model what it makes of the moment: frames and history up to the keyframe, nothing after it."""

    name: ClassVar[str] = "ReasoningTraceAgent"
    needs_history: ClassVar[bool] = True
    told_facts: tuple[FactSource, ...] = (FactSource.EGO_MOTION,)
    prompt_version = PROMPT_VERSION
    prompt_hash = text_hash(PROMPT_VERSION)

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent: ``vlm_agent.max_tokens`` counts where it is less than the model writes."""
        return cls(min(config.vlm_agent.max_tokens, MAX_REASONING_TOKENS))

    def footage(self, configured: Footage) -> Footage:
        """Return what brings the model's own cameras at its own times, whatever is configured for others."""
        step = _SHAPE.step_sec
        return replace(
            configured,
            cameras=MODEL_CAMERAS,
            sampling=Sampling((_SHAPE.frames - 1) * step, step, step),
            images=ImageSettings(_JPEG_QUALITY, None, None),
            segments=None,
        )

    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return history and frames; raises ClipRejectedError where one of them is not whole."""
        assert window.samples is not None
        clip_id = window.keyframe.clip_id
        for camera in cameras:
            if camera.missing:
                said = " ".join(camera.notes)
                raise ClipRejectedError(
                    "no_frame",
                    f"{clip_id}: {camera.camera} has {len(camera.shots)} of {_SHAPE.frames} frames up to "
                    f"{window.t0_us} us. {said}".strip(),
                )
        path = ego_path(window.samples, window.t0_us, _SHAPE, clip_id)
        history = {
            HISTORY_XYZ: path.history_xyz.round(_DIGITS).tolist(),
            HISTORY_ROT: path.history_rot.round(_DIGITS).tolist(),
        }
        frames = tuple(
            (f"{frames.camera} {(shot.t_us - window.t0_us) / 1e6:+.1f} s", shot)
            for frames in cameras
            for shot in frames.shots
        )
        parts = (Part("user", frames=frames), Part("user", json.dumps(history)))
        return PreparedWindow(window.keyframe, self.info(window, cameras), window.starting, parts, driven_facts(window))

    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask for the reasoning, and read it."""
        result = await ask("label", prepared.parts, None, self.max_tokens)
        return Labelled(label_of_trace(text_of(result), whole=result.get("finish_reason") != "length"))


def label_of_trace(text: str, *, whole: bool = True) -> CoCLabel:
    """Return the label, or the abstention, that a reasoning trace is.

    The sentence is the trace as it was written. Decisions and components are filled in where the project's reader
    understood every word; it does not tell which cause belongs to which decision, so that both cite all of them.

    Args:
        text: the reasoning, from its start token to its end token; empty where it did not come to the latter.
        whole: whether the model ended by itself what it wrote.

    Example:
        >>> label_of_trace("Stop for the red light ahead.").longitudinal.decision
        <LongitudinalDecision.STOP: 'stop'>
        >>> label_of_trace("").abstention.reason
        'empty_answer'
    """
    trace = " ".join(text.split())
    if not whole and not trace:
        return abstain("truncated_answer", "the reasoning did not end before its tokens ran out")
    if (nothing := not_a_sentence(trace)) is not None:
        return nothing
    reading = read_sentence(trace)
    if reading.garbled:
        return abstain("garbled_answer", f"{'; '.join(reading.garbled)[:_SAID_CHARS]}: {trace[:_SAID_CHARS]}")
    if not any(not said.negated for said in reading.decisions):
        return abstain("no_decision", f"the reasoning does not say what ego does: {trace[:_SAID_CHARS]}")
    return _structured(trace, reading) or CoCLabel(trace=trace, effect_on_ego_behavior=trace)


def _structured(trace: str, reading: Reading) -> CoCLabel | None:
    """Return the label with what was read; None where that is not all, or does not fit together."""
    if reading.unread:
        return None
    components = _components(reading.causes)
    causes = tuple(component.id for component in components) or (UNOBSERVED,)
    try:
        return CoCLabel(
            longitudinal=_longitudinal(reading.longitudinal, causes),
            lateral=_lateral(reading.lateral, causes),
            components=components,
            trace=trace,
            effect_on_ego_behavior=trace,
        )
    except ValidationError:
        return None


def _components(causes: Sequence[SaidCause]) -> tuple[Component, ...]:
    there = (cause for cause in causes if not cause.negated)
    return tuple(
        Component(
            id=f"c{number}",
            category=cause.category,
            relation=cause.relation,
            side=cause.side,
            description=cause.text or cause.category.value,
        )
        for number, cause in enumerate(there, start=1)
    )


def _longitudinal(said: SaidDecision | None, causes: tuple[str, ...]) -> Longitudinal | None:
    if said is None or not isinstance(said.decision, LongitudinalDecision):
        return None
    return Longitudinal(decision=said.decision, cause_ids=causes)


def _lateral(said: SaidDecision | None, causes: tuple[str, ...]) -> Lateral | None:
    if said is None or not isinstance(said.decision, LateralDecision):
        return None
    return Lateral(decision=said.decision, direction=said.direction, cause_ids=causes)
