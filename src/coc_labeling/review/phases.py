"""The two phases of a review: first what was known at the keyframe, then, once that is said, what came after.

A task goes from waiting over history and future to done. Each step is an event, and a task's state is what its events
make of it, one after another; nothing else decides what a reviewer may be shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from coc_labeling.review.errors import PhaseError
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Verdict


class Phase(StrEnum):
    """How far a task has come."""

    WAITING = "waiting"  # nothing of it has been shown
    HISTORY = "history"  # the history is shown, and nothing else
    FUTURE = "future"  # all is shown
    DONE = "done"  # judged


UNLOCKED = (Phase.FUTURE, Phase.DONE)


@dataclass(frozen=True)
class Opened:
    """The history has been shown."""


@dataclass(frozen=True)
class HistoryDone:
    """The components of the history have been judged: the future unlocks, and phase one is over for good."""

    answer: HistoryAnswer


@dataclass(frozen=True)
class HistorySkipped:
    """Phase one has been left out, since the reviewer has seen the future of an overlapping window."""


@dataclass(frozen=True)
class Judged:
    """The label has been judged, for the first time or anew."""

    judgement: Judgement


@dataclass(frozen=True)
class Undone:
    """The last judgement that still held has been taken back."""


Step = Opened | HistoryDone | HistorySkipped | Judged | Undone


@dataclass(frozen=True)
class TaskState:
    """What has become of a task.

    Attributes:
        revision: how many events there are.
        phase: how far it has come.
        history: what was said in phase one; None before that, and where it was skipped.
        judgements: those that hold, the last one first to be undone.
    """

    revision: int = 0
    phase: Phase = Phase.WAITING
    history: HistoryAnswer | None = None
    judgements: tuple[Judgement, ...] = ()

    @property
    def judgement(self) -> Judgement | None:
        """The judgement that holds."""
        return self.judgements[-1] if self.judgements else None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that holds."""
        return self.judgement.verdict if self.judgement else None

    @property
    def future_unlocked(self) -> bool:
        """Whether anything from after the keyframe, decision, checks and risk may be shown."""
        return self.phase in UNLOCKED

    def after(self, step: Step) -> "TaskState":
        """Return the state after a step.

        Raises:
            PhaseError: it cannot be taken in this phase.

        Example:
            >>> TaskState().after(Opened()).after(HistoryDone(HistoryAnswer())).phase
            <Phase.FUTURE: 'future'>
        """
        changed = self._changed(step)
        return replace(changed, revision=self.revision + 1)

    def _changed(self, step: Step) -> "TaskState":
        match step:
            case Opened():
                self._needs(Phase.WAITING, doing="open it")
                return replace(self, phase=Phase.HISTORY)
            case HistoryDone(answer):
                self._needs(Phase.HISTORY, doing="judge the components of its history")
                return replace(self, phase=Phase.FUTURE, history=answer)
            case HistorySkipped():
                self._needs(Phase.WAITING, Phase.HISTORY, doing="skip its history")
                return replace(self, phase=Phase.FUTURE)
            case Judged(judgement):
                self._needs(*UNLOCKED, doing="judge it")
                return replace(self, phase=Phase.DONE, judgements=(*self.judgements, judgement))
            case Undone():
                self._needs(Phase.DONE, doing="undo its judgement")
                left = self.judgements[:-1]
                return replace(self, phase=Phase.DONE if left else Phase.FUTURE, judgements=left)

    def _needs(self, *phases: Phase, doing: str) -> None:
        if self.phase not in phases:
            raise PhaseError(
                f"cannot {doing}: it is in phase {self.phase}, which has to be {' or '.join(phases)}. Load it again."
            )


def state_of(steps: Iterable[Step]) -> TaskState:
    """Return the state that steps lead to; raises PhaseError where they could not be taken one after another."""
    state = TaskState()
    for step in steps:
        state = state.after(step)
    return state


@dataclass(frozen=True)
class Extent:
    """How far a window reaches, in microseconds before and after its keyframe."""

    history_us: int
    future_us: int

    @property
    def length_us(self) -> int:
        """The length of a window."""
        return self.history_us + self.future_us


@dataclass(frozen=True)
class Sighting:
    """What a reviewer has been shown of a clip: the history of a keyframe at ``t_us``, or all of its window."""

    t_us: int
    future: bool


def gives_away(seen: Sighting, t_us: int, extent: Extent) -> bool:
    """Say whether who has seen one window knows something of what came after another keyframe of the same clip.

    That is so where the windows overlap and all of the one was shown, and where its history, the only part shown,
    reaches beyond the other keyframe.

    Example:
        >>> extent = Extent(2_000_000, 6_000_000)
        >>> gives_away(Sighting(3_000_000, future=True), 10_000_000, extent)
        True
        >>> gives_away(Sighting(2_000_000, future=True), 10_000_000, extent)
        False
    """
    if abs(seen.t_us - t_us) >= extent.length_us:
        return False
    return seen.future or seen.t_us > t_us
