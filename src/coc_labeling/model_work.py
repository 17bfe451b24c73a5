"""What a run with a model is for: what it asks about each window, and what it keeps of the answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from batch_runs.journal import Journal
from coc_labeling.agents.base import Labelled, ModelAgent, PreparedWindow
from coc_labeling.asking import WindowAsk
from coc_labeling.recording import Recorder
from coc_labeling.results import LABEL, LABELS_SCHEMA
from coc_labeling.work import Problem, item_of, outcome_of

ROWS_AT_ONCE = 32  # of records that are written; where a run is killed, so many are found again from their files


@dataclass(frozen=True)
class Kept:
    """What was kept of an answer, and how it is counted and told.

    Attributes:
        problem: outcome, reason, item and message, as a tally counts them.
        kind: what the progress line counts it as: done, abstained, rejected or failed.
        event: what the log of events calls it; ``told`` is said there besides clip and time.
        latest: a sentence for the progress line, or nothing.
    """

    problem: Problem
    kind: str
    event: str
    told: dict[str, Any]
    latest: str = ""


class ModelWork(ABC):
    """What is asked about windows and what is kept of the answers.

    Attributes:
        name: of who asks, for messages.
        path: the folder that is written to, for messages.
    """

    name: str
    path: str

    def begin(self, clip_id: str) -> None:
        """Get ready for a clip's answers: what a killed run left half written of it is removed."""
        return

    @abstractmethod
    async def ask(self, window: PreparedWindow, asked: WindowAsk) -> Any:
        """Ask about one window; returns the answer as it is written."""

    @abstractmethod
    def write(self, window: PreparedWindow, answer: Any, asked: WindowAsk) -> Any:
        """Write an answer, in a thread of its own; raises OSError where that cannot be done."""

    @abstractmethod
    def keep(self, written: Any) -> Kept:
        """Take note of what ``write`` returned; no other call is under way."""

    def fail(
        self, problem: Problem, window: PreparedWindow | None = None, asked: WindowAsk | None = None
    ) -> list[Problem]:
        """Return what is counted for a window without an answer.

        Args:
            problem: what is wrong with it.
            window: None for one that could not be made ready.
            asked: what was asked about it, None where that was nothing.
        """
        return [problem]

    def index(self, *, wait_for_more: bool = False) -> None:
        """Put what was written where it is found again, all or once it is worth it; raises OSError."""
        return


@dataclass
class Labelling(ModelWork):
    """Step 3: an agent turns answers into labels, which become records."""

    agent: ModelAgent
    recorder: Recorder
    journal: Journal
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.path = self.agent.name, self.recorder.folder.path

    def begin(self, clip_id: str) -> None:
        """Remove what a killed run left half written."""
        self.recorder.folder.remove_leftovers(clip_id)

    async def ask(self, window: PreparedWindow, asked: WindowAsk) -> Labelled:
        """Ask for the label."""
        return await self.agent.label(window, asked)

    def write(self, window: PreparedWindow, answer: Labelled, asked: WindowAsk) -> dict[str, Any]:
        """Write the record; returns its row."""
        return self.recorder.write(window, answer, asked)

    def keep(self, written: dict[str, Any]) -> Kept:
        """Remember the row for the journal."""
        self._rows.append(written)
        told = {"sentence": written["sentence"], "reason": written["abstention_reason"]}
        item = item_of(written["clip_id"], written["event_start_timestamp"])
        kind = "done" if written["status"] == LABEL else "abstained"
        return Kept(outcome_of(written, item, "labelled"), kind, written["status"], told, written["sentence"] or "")

    def index(self, *, wait_for_more: bool = False) -> None:
        """Add the rows of written records to the journal."""
        if self._rows and (len(self._rows) >= ROWS_AT_ONCE or not wait_for_more):
            self.journal.append(pa.RecordBatch.from_pylist(self._rows, LABELS_SCHEMA))
            self._rows = []
