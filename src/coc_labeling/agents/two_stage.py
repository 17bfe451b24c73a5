"""Two stages: causes are listed before the future is shown, then the decision is named and cites them.

Stage 1 is made from a ``HistoryView`` alone, so that it cannot depend on what came later. Stage 2 continues its
conversation: what a server keeps of the first messages serves it again.
"""

import functools
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import BaseModel

from coc_labeling.agents.answers import RepairAnswer
from coc_labeling.agents.base import Ask, Labelled, ModelAgent, PreparedWindow, told_facts
from coc_labeling.agents.checking import Repairer
from coc_labeling.agents.consistency import driven_facts
from coc_labeling.agents.questions import AbstainedError, Question
from coc_labeling.agents.two_stage_answers import (
    DECISION_FORMS,
    HistoryAnswer,
    read_components,
    read_decision,
    unreadable,
)
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import CameraFrames, Part, kept
from coc_labeling.errors import CocLabelingError
from coc_labeling.history import HistoryView, history_view
from coc_labeling.prompts import Prompts, two_stage
from coc_labeling.prompts.scene_text import scene_text
from coc_labeling.prompts.window_text import MotionText, cut_after, cut_before, frame_parts, missing_text
from coc_labeling.schema import CoCLabel, Component
from coc_labeling.windows import Sampling, Window


class TwoStageCoCAgent(ModelAgent):
    """Asks twice per window; with ``check`` a label that contradicts ego's motion is repaired by a third question."""

    name: ClassVar[str] = "TwoStageCoCAgent"
    needs_history: ClassVar[bool] = True

    def __init__(
        self, motion: MotionText, frames: Sampling, *, check: bool, max_tokens: int, scene_facts: bool = False
    ) -> None:
        self.motion = motion
        self.needs_tracks = scene_facts
        self.told_facts = told_facts(scene_facts=scene_facts)
        self.frames = frames
        self.check = check
        self.max_tokens = max_tokens
        self.prompts: Prompts = two_stage()
        self.listing = Question("components", HistoryAnswer, read_components, self.prompts.again, max_tokens)
        self.repairer = Repairer(self.prompts.repair, RepairAnswer, max_tokens)
        forms: list[type[BaseModel]] = [HistoryAnswer, *DECISION_FORMS, RepairAnswer]
        self.prompt_version = self.prompts.version
        schemas = [form.model_json_schema() for form in forms]
        self.prompt_hash = self.prompts.hash_with(*schemas, *self._differs())

    def _differs(self) -> list[dict[str, str]]:
        """Return what tells the records of a subclass from those of this one, where the texts are the same."""
        return [] if self.name == TwoStageCoCAgent.name else [{"agent": self.name}]

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent of a configuration; raises CocLabelingError where it asks for sentences alone."""
        settings, video = config.vlm_agent, config.data_loader.video
        if not settings.structured_output:
            raise CocLabelingError(
                f"vlm_agent.agent_name={cls.name}: its labels are structured. Leave vlm_agent.structured_output at "
                "true, or use VLMCoCAgent for sentences alone."
            )
        return cls(
            MotionText.of(config.data_loader),
            Sampling(video.hist_length_sec, video.fut_length_sec, video.time_interval),
            check=settings.use_metaaction_check_pipeline,
            max_tokens=settings.max_tokens,
            scene_facts=settings.scene_facts,
        )

    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return the first question, made of the history alone, and what the second one adds to it."""
        view = history_view(window, cameras, sum(offset <= 0 for offset in self.frames.offsets_us))
        return PreparedWindow(
            window.keyframe,
            self.info(window, cameras),
            window.starting,
            _with_files([Part("system", self.prompts.system), *self._history(view)], cameras, window.t0_us),
            driven_facts(window),
            later=tuple(self._future(window, cameras)),
        )

    def _history(self, view: HistoryView) -> list[Part]:
        """Return what stage 1 is told, from nothing but the view."""
        known = _section("# History", [*cut_before(view.info), *missing_text(view.cameras)], self.motion.history(view))
        return [Part("user", known), *frame_parts(view.cameras, view.t0_us), Part("user", self.prompts.steps[0])]

    def _future(self, window: Window, cameras: Sequence[CameraFrames]) -> list[Part]:
        """Return what stage 2 is told besides: the window after the keyframe."""
        asked = sum(offset > 0 for offset in self.frames.offsets_us)
        later = [_after(camera, window.t0_us, asked) for camera in cameras]
        known = _section("# After t=0", [*cut_after(window.info), *missing_text(later)], self.motion.future(window))
        if self.needs_tracks:
            known = f"{known}\n\n{scene_text(window)}"
        return [Part("user", known), *frame_parts(later, window.t0_us)]

    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask for components, then for the decision; where it is switched on compare with ego's motion and repair."""
        try:
            components, said = await self.listing.ask(ask, prepared.parts)
            if components is None:
                return Labelled(unreadable())
            label = await self.decide(prepared, components, said, ask)
        except AbstainedError as abstained:
            return Labelled(abstained.label)
        return await self.repairer.checked(label, prepared, ask) if self.check else Labelled(label)

    async def decide(
        self, prepared: PreparedWindow, components: tuple[Component, ...], said: str, ask: Ask
    ) -> CoCLabel:
        """Return the label of stage 2, after ``said`` was the answer of stage 1; raises AbstainedError."""
        read = functools.partial(read_decision, components=components)
        form = DECISION_FORMS[len(components)]
        question = Question("label", form, read, self.prompts.again, self.max_tokens)
        step = self.prompts.steps[1].replace("{components}", _listed(components))
        parts = [*prepared.parts, Part("assistant", kept(said)), *prepared.later, Part("user", step)]
        label, _ = await question.ask(ask, parts)
        return label


def _section(heading: str, cut: Sequence[str], motion: str) -> str:
    return "\n".join([heading, *cut, "", motion])


def _listed(components: Sequence[Component]) -> str:
    """Return components with their ids as a model is reminded of them."""
    if not components:
        return 'You listed no component: every cause is "unobserved".'
    lines = []
    for one in components:
        kinds = ", ".join(str(kind) for kind in (one.category, one.relation, one.side) if kind is not None)
        lines.append(f"{one.id}: {' '.join(one.description.split())} ({kinds})")
    return "\n".join(["Your components:", *lines])


def _after(camera: CameraFrames, t0_us: int, frames: int) -> CameraFrames:
    shots = tuple(shot for shot in camera.shots if shot.t_us > t0_us)
    return CameraFrames(camera.camera, shots, frames - len(shots))


def _with_files(parts: Sequence[Part], cameras: Sequence[CameraFrames], t0_us: int) -> tuple[Part, ...]:
    """Return the parts with the frames' files named again, which records keep; a view knows none."""
    named = ([shot for shot in camera.shots if shot.t_us <= t0_us] for camera in cameras)
    of_cameras = iter([shots for shots in named if shots])
    return tuple(
        Part(part.role, frames=tuple(zip((label for label, _ in part.frames), next(of_cameras), strict=True)))
        if part.frames
        else part
        for part in parts
    )
