"""What an agent is: it turns a window into a label."""

from abc import ABC, abstractmethod
from typing import ClassVar

from coc_labeling.schema import CoCLabel, Provenance
from coc_labeling.windows import Window


class Agent(ABC):
    """Turns windows into labels. Instances travel to worker processes.

    Subclasses are registered in ``coc_labeling.agents.AGENTS`` or by entry point.
    """

    name: ClassVar[str]
    model: ClassVar[str]

    @abstractmethod
    def label(self, window: Window) -> CoCLabel:
        """Return the label of one window; where there is none to give, an abstention."""

    def provenance(self, dataset: str, code_version: str) -> Provenance:
        """Return what is written beside each label of this agent."""
        return Provenance(agent=self.name, model=self.model, code_version=code_version, dataset=dataset)
