"""Labels compared with what ego did; one that contradicts it is repaired by a second question."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from coc_labeling.agents.answers import SentenceAnswer, UnusableAnswerError
from coc_labeling.agents.base import Ask, Labelled, PreparedWindow
from coc_labeling.agents.questions import PROBLEM_CHARS, AbstainedError, refuse_declined
from coc_labeling.agents.repair import repaired_label
from coc_labeling.conversation import Part
from coc_labeling.prompts.window_text import MOTION_HEADING
from coc_labeling.schema import CoCLabel, Repair, abstain

_NOT_SHOWN = {"schema_version", "taxonomy_version", "abstention", "emerged_after"}


@dataclass(frozen=True)
class Repairer:
    """Has labels repaired that contradict ego's motion.

    Attributes:
        system: what comes first in the request.
        form: what the answer must fit; a sentence is repaired as a sentence.
        max_tokens: of the answer.
    """

    system: str
    form: type[BaseModel]
    max_tokens: int

    async def checked(self, label: CoCLabel, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Return the label if it agrees with ego's motion, else its repair; without a usable one, an abstention."""
        reasons = [] if label.abstention else prepared.facts.contradictions(label)
        if not reasons:
            return Labelled(label)
        result = await ask("repair", self._parts(label, reasons, _motion_of(prepared)), self.form, self.max_tokens)
        before = str(label.effect_on_ego_behavior)
        try:
            refuse_declined(result)
            after = repaired_label(label, result["content"], self.form)
        except (UnusableAnswerError, AbstainedError) as error:
            said = str(error) if isinstance(error, UnusableAnswerError) else _detail(error)
            detail = f"{'; '.join(reasons)}. The repair could not be used: {said[:PROBLEM_CHARS]}"
            failed = Repair(outcome="failed", reasons=tuple(reasons), before=before)
            return Labelled(abstain("contradicts_motion", detail), failed)
        repair = Repair(
            outcome="repaired", reasons=tuple(reasons), before=before, after=str(after.effect_on_ego_behavior)
        )
        if left := prepared.facts.contradictions(after):
            detail = f"{'; '.join(reasons)}. After the repair still: {'; '.join(left)}"
            return Labelled(abstain("contradicts_motion", detail), repair.model_copy(update={"outcome": "failed"}))
        return Labelled(after, repair)

    def _parts(self, label: CoCLabel, reasons: Sequence[str], motion: str) -> list[Part]:
        """Return the conversation that repairs a label: without the scene, so that no cause can be added."""
        shown = label.model_dump(mode="json", exclude=_NOT_SHOWN)
        if self.form is SentenceAnswer:
            shown = {"effect_on_ego_behavior": label.effect_on_ego_behavior}
        contradicts = "\n".join(f"- {reason}" for reason in reasons)
        text = f"# Label\n{json.dumps(shown, indent=1)}\n\n# Contradiction\n{contradicts}\n\n{motion}"
        return [Part("system", self.system), Part("user", text)]


def _detail(error: AbstainedError) -> str:
    return error.label.abstention.detail if error.label.abstention else ""


def _motion_of(prepared: PreparedWindow) -> str:
    """Return ego's motion as a model was told it; what came last where it was told in steps."""
    said = [part.text for part in (*prepared.parts, *prepared.later) if MOTION_HEADING in part.text]
    return said[-1][said[-1].index(MOTION_HEADING) :]
