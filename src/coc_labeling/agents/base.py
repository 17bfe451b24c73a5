"""What an agent is: it turns a window into a label, by itself or with a model's answers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import BaseModel

from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import CameraFrames, Part, Shot
from coc_labeling.keyframes import Keyframe
from coc_labeling.schema import CoCLabel, FactSource, MetaActionSpan, Provenance, Repair, WindowInfo
from coc_labeling.windows import Window

if TYPE_CHECKING:
    from coc_labeling.footage import Footage


class Agent(ABC):
    """Turns windows into labels by itself. Instances travel to worker processes.

    Subclasses are registered in ``coc_labeling.agents.AGENTS`` or by entry point.
    """

    name: ClassVar[str]
    model: ClassVar[str]
    told_facts: ClassVar[tuple[FactSource, ...]] = tuple(FactSource)  # a window holds them all

    @abstractmethod
    def label(self, window: Window) -> CoCLabel:
        """Return the label of one window; where there is none to give, an abstention."""

    def provenance(self, dataset: str, code_version: str) -> Provenance:
        """Return what is written beside each label of this agent."""
        return Provenance(
            agent=self.name, model=self.model, code_version=code_version, dataset=dataset, told_facts=self.told_facts
        )


class Facts(Protocol):
    """What really happened in a window."""

    def contradictions(self, label: CoCLabel) -> list[str]:
        """Return, in words, where a label contradicts it; empty where nothing does."""


@dataclass(frozen=True)
class PreparedWindow:
    """A window ready to be asked about: all that a model is told, and what is needed to judge its answer.

    Attributes:
        keyframe: the moment.
        info: its extent, as it is recorded.
        starting: the meta-actions that start there.
        parts: what the first question says.
        later: what later questions add, of agents that ask in steps.
        facts: what labels are compared with.
    """

    keyframe: Keyframe
    info: WindowInfo
    starting: tuple[MetaActionSpan, ...]
    parts: tuple[Part, ...]
    facts: Facts
    later: tuple[Part, ...] = ()

    @property
    def shots(self) -> list[Shot]:
        """All frames, in the order they are sent."""
        return [shot for part in (*self.parts, *self.later) for _, shot in part.frames]


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


def told_facts(*, scene_facts: bool) -> tuple[FactSource, ...]:
    """Return what a model is told that is given ego's motion as text, and the facts of the scene or not."""
    motion = (FactSource.EGO_MOTION, FactSource.TIMELINE)
    return (*motion, FactSource.TRACKS) if scene_facts else motion


class ModelAgent(ABC):
    """Turns windows into labels with the answers of a model.

    ``prepare`` runs in worker processes, ``label`` beside many others of its kind in the process that asks. What is
    asked depends on nothing but the prepared window and the answers: so ``coc show-request`` can ask again.

    Attributes:
        name: of the agent, in records.
        needs_history: windows come with their ego motion as recorded, and frames are either up to the keyframe or
            after it; ``history.history_view`` makes of it what was known at the keyframe.
        needs_tracks: windows come with the tracks of road users.
        told_facts: the measured facts that the model is told, in records.
        prompt_version, prompt_hash: of its texts and schemas, in records.
    """

    name: ClassVar[str]
    needs_history: ClassVar[bool] = False
    needs_tracks: bool = False
    told_facts: tuple[FactSource, ...] = (FactSource.EGO_MOTION, FactSource.TIMELINE)
    prompt_version: str
    prompt_hash: str

    @classmethod
    @abstractmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the agent that a configuration asks for.

        Raises:
            CocLabelingError: the configuration lacks what it needs.
        """

    def footage(self, configured: "Footage") -> "Footage":
        """Return what brings the frames of windows; an agent whose model wants others than configured changes it."""
        return configured

    @abstractmethod
    def prepare(self, window: Window, cameras: Sequence[CameraFrames]) -> PreparedWindow:
        """Return what a model is told of a window."""

    def prepared(self, window: Window, cameras: Sequence[CameraFrames]) -> Iterator[PreparedWindow]:
        """Yield what is asked about separately: a label is one thing."""
        yield self.prepare(window, cameras)

    @staticmethod
    def info(window: Window, cameras: Sequence[CameraFrames]) -> WindowInfo:
        """Return a window's extent with what its frames add to it."""
        return window.info.model_copy(
            update={
                "frames": sum(len(frames.shots) for frames in cameras),
                "missing_frames": sum(frames.missing for frames in cameras),
                "notes": tuple(note for frames in cameras for note in frames.notes),
            }
        )

    @abstractmethod
    async def label(self, prepared: PreparedWindow, ask: Ask) -> Labelled:
        """Ask for the label of one window; what cannot be labelled is an abstention."""
