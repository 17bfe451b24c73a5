"""Windows as a model is asked about them, and models that answer as told."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from builders.driving import Drive, drive
from builders.runs import config
from builders.scenes import motion_of
from coc_labeling.agents import create_agent
from coc_labeling.agents.base import Labelled, ModelAgent, PreparedWindow
from coc_labeling.agents.consistency import DrivenFacts
from coc_labeling.conversation import CameraFrames, Part, Shot
from coc_labeling.keyframes import Keyframe
from coc_labeling.windows import Window, make_window
from driving_clips.ego_motion import EgoSamples, resample
from driving_clips.geometry import quat_of_yaw
from meta_action.names import BY_NAME, MIRRORED
from meta_action.timeline import Span, timeline

CLIP = "0a0b0c0d-1111-2222-3333-444455556666"


def window(
    t0_us: int = 5_000_000,
    *,
    d: Drive | None = None,
    spans: Sequence[Span] = (),
    first_tick: int = 0,
    history_sec: float = 2.0,
    future_sec: float = 6.0,
) -> Window:
    """Return a window of a drive with the given meta-actions."""
    ego = motion_of(drive(8.0 if first_tick else 20.0) if d is None else d, first_tick)
    return make_window(Keyframe(CLIP, t0_us), ego, timeline(CLIP, spans), None, history_sec, future_sec)


def samples_of(d: Drive, *, velocity: bool = True) -> EgoSamples:
    """Return a drive as it is recorded."""
    zero = np.zeros(len(d))
    xyz, v = np.stack([d.x, d.y, zero], axis=1), np.stack([d.vx, d.vy, zero], axis=1)
    return EgoSamples(d.t_us, xyz, quat_of_yaw(d.yaw), v if velocity else None)


def recorded_window(
    d: Drive, t0_us: int = 5_000_000, *, spans: Sequence[Span] = (), clip_id: str = CLIP, velocity: bool = True
) -> Window:
    """Return a window of a drive with what was recorded of it."""
    samples = samples_of(d, velocity=velocity).cleaned()  # as a recording's clips come
    keyframe = Keyframe(clip_id, t0_us, tuple(span.name for span in spans))
    return make_window(keyframe, resample(samples), timeline(clip_id, spans), None, 2.0, 6.0, samples)


def frames_of(own: Window, camera: str = "front", missing: int = 0, late_us: int = 0) -> CameraFrames:
    """Return the frames of one camera at the usual times, ``late_us`` after each, the first ``missing`` left out."""
    times = [own.t0_us + offset + late_us for offset in range(-2_000_000, 6_000_000, 500_000)]
    shots = [Shot(f"{CLIP}.{camera}.mp4", t // 33_333, t, f"data:image/jpeg;base64,{camera}{t}") for t in times]
    return CameraFrames(camera, tuple(shots[missing:]), missing)


def agent_of(**settings: Any) -> Any:
    """Return the agent of the default configuration with some keys changed; ``__`` stands for a dot."""
    return create_agent(config(**{"model_name": "dummy", **settings}))


def facts(
    *names: str,
    speed: tuple[float, float] = (5.0, 8.0),
    complete: bool = True,
    start: int = 50,
    begin: int = 0,
    ticks: int = 40,
) -> DrivenFacts:
    """Return what ego did: meta-actions that begin ``begin`` ticks after the keyframe, and its speeds in m/s."""
    first = start + begin
    spans = tuple(Span(BY_NAME[name].axis, name, first, first + ticks) for name in names)
    return DrivenFacts(start, spans, *speed, complete)


def mirrored_text(text: str) -> str:
    """Return a text with left and right swapped."""
    return text.replace("left", "\0").replace("right", "left").replace("\0", "right")


def mirrored_facts(own: DrivenFacts) -> DrivenFacts:
    """Return what ego does in a mirror."""
    spans = tuple(span._replace(name=MIRRORED[span.name]) for span in own.spans)
    return DrivenFacts(own.start_tick, spans, own.slowest_mps, own.fastest_mps, own.complete)


def answer(content: Any, finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    """Return a model's answer; an object stands both as ``content`` and as ``text``."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    return {"finish_reason": finish_reason, "content": content, "text": text, **more}


def listed(*descriptions: str, **changes: Any) -> dict[str, Any]:
    """Return a valid answer of stage 1."""
    seen = [
        {"category": "critical_object", "relation": "lead", "side": None, "description": text} for text in descriptions
    ]
    return {"unreadable": False, "components": seen} | changes


def decided(sentence: str = "Stop behind the lead vehicle.", *causes: str, **changes: Any) -> dict[str, Any]:
    """Return a valid answer of stage 2."""
    whole = {
        "emerged_after": None,
        "longitudinal": {"decision": "stop", "cause_ids": list(causes) or ["unobserved"]},
        "lateral": None,
        "trace": "A van stands ahead.",
        "effect_on_ego_behavior": sentence,
    }
    return whole | changes


def structured(sentence: str = "Stop behind the lead vehicle.", **changes: Any) -> dict[str, Any]:
    """Return a whole answer that is valid."""
    whole = {
        "unreadable": False,
        "components": [
            {"id": "c1", "category": "critical_object", "relation": "lead", "side": None, "description": "a white van"}
        ],
        "longitudinal": {"decision": "stop", "cause_ids": ["c1"]},
        "lateral": None,
        "trace": "A van stands ahead.",
        "effect_on_ego_behavior": sentence,
    }
    return whole | changes


@dataclass
class ScriptedAsk:
    """Answers in turn, and remembers the questions."""

    answers: list[dict[str, Any] | Exception]
    asked: list[tuple[str, tuple[Part, ...], Any, int]] = field(default_factory=list)

    async def __call__(self, purpose: str, parts: Sequence[Part], form: Any, max_tokens: int) -> dict[str, Any]:
        self.asked.append((purpose, tuple(parts), form, max_tokens))
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    @property
    def purposes(self) -> list[str]:
        """What was asked for, in turn."""
        return [purpose for purpose, *_ in self.asked]


def labelled(agent: ModelAgent, prepared: PreparedWindow, ask: ScriptedAsk) -> Labelled:
    """Return what an agent makes of a window with such a model."""
    return asyncio.run(agent.label(prepared, ask))
