"""Two stages with the components of another clip: what is cited then is cited for no reason."""

import json
from collections.abc import Mapping
from typing import ClassVar

from coc_labeling.agents.base import Ask, Labelled, PreparedWindow
from coc_labeling.agents.questions import AbstainedError
from coc_labeling.agents.two_stage import TwoStageCoCAgent
from coc_labeling.agents.two_stage_answers import SeenComponent
from coc_labeling.schema import Component, abstain

Donors = Mapping[tuple[str, int], tuple[Component, ...]]  # by clip id and keyframe in microseconds


class NegativeControlAgent(TwoStageCoCAgent):
    """Asks stage 2 alone, after an answer of stage 1 that was given about another clip; nothing is repaired."""

    name: ClassVar[str] = "NegativeControl"
    donors: Donors

    def with_donors(self, donors: Donors) -> "NegativeControlAgent":
        """Return the agent itself, now with the components that each window is given."""
        self.donors = donors
        return self

    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask for the decision as if the other clip's components had been listed for this one."""
        components = self.donors.get((prepared.keyframe.clip_id, prepared.keyframe.t_us))
        if components is None:  # another moment of the same tick
            return Labelled(abstain("not_in_sample", "no components of another clip were chosen for this moment"))
        try:
            return Labelled(await self.decide(prepared, components, _as_answer(components), ask))
        except AbstainedError as abstained:
            return Labelled(abstained.label)


def _as_answer(components: tuple[Component, ...]) -> str:
    """Return components as stage 1 answers with them."""
    seen = [component.model_dump(mode="json", include=set(SeenComponent.model_fields)) for component in components]
    return json.dumps({"unreadable": False, "components": seen})
