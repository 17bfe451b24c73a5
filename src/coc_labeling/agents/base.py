"""What an agent is: it turns a window into a label, by itself or with a model's answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel

from coc_labeling.agents.consistency import DrivenFacts
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import Part, Shot
from coc_labeling.keyframes import Keyframe
from coc_labeling.schema import CoCLabel, MetaActionSpan, Provenance, Repair, WindowInfo
from coc_labeling.windows import Window


class Agent(ABC):
    """Turns windows into labels by itself. Instances travel to worker processes.

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


@dataclass(frozen=True)
class CameraFrames:
    """The frames of one camera in a window.

    Attributes:
        camera: its name.
        shots: the frames, oldest first; fewer than asked for where the video has none.
        missing: how many of the sampled times have no frame.
        notes: what was wrong with the video.
    """

    camera: str
    shots: tuple[Shot, ...]
    missing: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreparedWindow:
    """A window ready to be asked about: all that a model is told, and what is needed to judge its answer."""

    keyframe: Keyframe
    info: WindowInfo
    starting: tuple[MetaActionSpan, ...]
    parts: tuple[Part, ...]
    facts: DrivenFacts
    motion_text: str

    @property
    def shots(self) -> list[Shot]:
        """All frames, in the order they are sent."""
        return [shot for part in self.parts for _, shot in part.frames]


class Ask(Protocol):
    """Puts one question to the model and returns its answer; it is counted, cached and kept with the record."""

    async def __call__(
        self, purpose: str, parts: Sequence[Part], form: type[BaseModel] | None, max_tokens: int
    ) -> dict[str, Any]:
        """``purpose`` is kept with the call; ``form`` is the pydantic model that the answer must fit."""


@dataclass(frozen=True)
class Labelled:
    """What came of a window: its label or abstention, and its repair where there was one."""

    label: CoCLabel
    repair: Repair | None = None


class ModelAgent(ABC):
    """Turns windows into labels with the answers of a model.

    ``prepare`` runs in worker processes, ``label`` beside many others of its kind in the process that asks.
    """

    name: ClassVar[str]
    prompt_version: str
    prompt_hash: str

    @classmethod
    @abstractmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent that a configuration asks for.

        Raises:
            CocLabelingError: the configuration lacks what it needs.
        """

    @abstractmethod
    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return what a model is told of a window."""

    @abstractmethod
    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask for the label of one window; what cannot be labelled is an abstention."""
