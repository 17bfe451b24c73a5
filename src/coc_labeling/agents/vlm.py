"""The single pass: one question shows the whole window and brings the label; a second one repairs contradictions."""

import functools
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import BaseModel

from coc_labeling.agents.answers import RepairAnswer, SentenceAnswer, StructuredAnswer, to_label
from coc_labeling.agents.base import Ask, Labelled, ModelAgent, PreparedWindow, told_facts
from coc_labeling.agents.checking import Repairer
from coc_labeling.agents.consistency import driven_facts
from coc_labeling.agents.questions import AbstainedError, Question
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import CameraFrames, Part
from coc_labeling.errors import CocLabelingError
from coc_labeling.prompts import Prompts, single_pass
from coc_labeling.prompts.scene_text import scene_text
from coc_labeling.prompts.window_text import MotionText, frame_parts, missing_text, window_text
from coc_labeling.schema import CoCLabel
from coc_labeling.windows import Window


class VLMCoCAgent(ModelAgent):
    """Asks once per window; with ``check`` a label that contradicts ego's motion is repaired by a second question."""

    name: ClassVar[str] = "VLMCoCAgent"

    def __init__(
        self, motion: MotionText, *, structured: bool, check: bool, max_tokens: int, scene_facts: bool = False
    ) -> None:
        self.motion = motion
        self.needs_tracks = scene_facts
        self.told_facts = told_facts(scene_facts=scene_facts)
        self.check = check
        self.prompts: Prompts = single_pass(structured=structured)
        form: type[BaseModel] = StructuredAnswer if structured else SentenceAnswer
        repair_form: type[BaseModel] = RepairAnswer if structured else SentenceAnswer
        read = functools.partial(to_label, form=form)
        self.question: Question[CoCLabel] = Question("label", form, read, self.prompts.again, max_tokens)
        self.repairer = Repairer(self.prompts.repair, repair_form, max_tokens)
        self.prompt_version = self.prompts.version
        self.prompt_hash = self.prompts.hash_with(form.model_json_schema(), repair_form.model_json_schema())

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent of ``vlm_agent`` and of what ``data_loader`` says about motion."""
        settings = config.vlm_agent
        return cls(
            MotionText.of(config.data_loader),
            structured=settings.structured_output,
            check=settings.use_metaaction_check_pipeline,
            max_tokens=settings.max_tokens,
            scene_facts=settings.scene_facts,
        )

    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return instructions first, then what is known of the window, its frames last."""
        motion = self.motion.whole(window)
        cut = window_text(window.info, missing_text(cameras))
        known = f"# Window\n{cut}\n\n{motion}" if cut else motion
        if self.needs_tracks:
            known = f"{known}\n\n{scene_text(window)}"
        parts = [Part("system", self.prompts.system), Part("user", known), *frame_parts(cameras, window.t0_us)]
        return PreparedWindow(
            window.keyframe, self.info(window, cameras), window.starting, tuple(parts), driven_facts(window)
        )

    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask, and where it is switched on compare with ego's motion and repair."""
        try:
            label, _ = await self.question.ask(ask, prepared.parts)
        except AbstainedError as abstained:
            return Labelled(abstained.label)
        return await self.repairer.checked(label, prepared, ask) if self.check else Labelled(label)


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
