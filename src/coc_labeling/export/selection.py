"""Which labels of a source go into a dataset, and why the others do not."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from coc_labeling.checks.risk import Status
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.check_index import LabelCheck
from coc_labeling.results import ABSTENTION

# Labels that the checks have given a risk; an abstention is no label.
LABEL_STATUSES = tuple(str(status) for status in Status if status is not Status.ABSTAINED)

NOT_CHECKED = "not checked as it is now"


class Text(StrEnum):
    """What the training text is."""

    SENTENCE = "sentence"
    TRACE = "trace"


@dataclass(frozen=True)
class Selection:
    """Which labels are exported.

    Attributes:
        text: what their training text is.
        max_risk: the highest risk that is taken; None takes all, checked or not.
        statuses: the check statuses that are taken; none given takes all, checked or not.
    """

    text: Text = Text.SENTENCE
    max_risk: float | None = None
    statuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_risk is not None and not 0 <= self.max_risk <= 1:
            raise CocLabelingError(f"--max-risk {self.max_risk}: expected a number from 0 to 1.")
        if unknown := [status for status in self.statuses if status not in LABEL_STATUSES]:
            raise CocLabelingError(
                f"--status {', '.join(unknown)}: no status of a label. There are: {', '.join(LABEL_STATUSES)}."
            )

    @property
    def needs_checks(self) -> bool:
        """Whether labels that have not been checked are left out."""
        return self.max_risk is not None or bool(self.statuses)

    def text_of(self, row: dict[str, Any]) -> str:
        """Return the training text of a row of ``labels.parquet``, empty where it has none."""
        text: str | None = row[self.text]
        return text if text and text.strip() else ""

    def reason_against(self, row: dict[str, Any], check: LabelCheck | None) -> str | None:
        """Return why a row of ``labels.parquet`` is left out, in a word to count by; None where it is taken."""
        if row["status"] == ABSTENTION:
            return f"abstention: {row['abstention_reason']}"
        if not self.text_of(row):
            return f"no {self.text}"
        if not self.needs_checks:
            return None
        if check is None:
            return NOT_CHECKED
        if self.max_risk is not None and check.risk > self.max_risk:
            return f"risk over {self.max_risk:g}"
        if self.statuses and check.status not in self.statuses:
            return f"status {check.status}"
        return None
