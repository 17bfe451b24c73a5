"""A deterministic stand-in for a model, to test the plumbing around it."""

from coc_labeling.agents.base import Agent
from coc_labeling.schema import CoCLabel
from coc_labeling.windows import Window


class DummyAgent(Agent):
    """Writes the same harmless label for the same window and looks at nothing; every record says "dummy"."""

    name = "DummyAgent"
    model = "dummy"

    def label(self, window: Window) -> CoCLabel:
        """Return a label without decisions whose sentence names the keyframe."""
        actions = ", ".join(window.keyframe.actions)
        return CoCLabel(
            trace="dummy: no scene was looked at",
            effect_on_ego_behavior=f"dummy: no model was asked about {actions} at {window.keyframe.frame / 10:.1f} s.",
        )
