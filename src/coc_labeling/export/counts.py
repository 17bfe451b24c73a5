"""What is counted while a dataset is written, for its card."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from coc_labeling.export.leakage import Leakage
from coc_labeling.export.rows import ExportRow

RISK_BINS = 10
UNCHECKED = "not checked"
PROBLEMS_KEPT = 1000
EXAMPLES = 5


@dataclass(frozen=True)
class Maker:
    """What made labels: agent, model, prompt, and the measured facts that it was told."""

    agent: str
    model: str
    prompt_version: str
    told_facts: tuple[str, ...]


@dataclass
class Counts:
    """Counts of exported labels, each by split where that matters, and of what was left out.

    Attributes:
        labels: by split.
        clips: by split.
        decisions: by channel, decision and split; ``none`` where a label has none in a channel.
        statuses: by check status and split.
        risks: by bin, of ``RISK_BINS`` from 0 to 1, and split; -1 where there is no risk.
        makers: by what made them.
        origins: ``generated``, or what people did.
        schema_versions: of the records.
        repaired: labels that a repair has changed.
        frames: pictures that labels show, one shown by several labels counted with each.
        left_out: by reason.
        failed: how many of those are failures: records or recordings that should be readable and are not.
        problems: what is wrong with them, the first ``PROBLEMS_KEPT``.
        leakage: what occurs in more than one split.
    """

    leakage: Leakage

    labels: Counter[str] = field(default_factory=Counter)
    clips: Counter[str] = field(default_factory=Counter)
    decisions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    risks: Counter[tuple[int, str]] = field(default_factory=Counter)
    makers: Counter[Maker] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    schema_versions: Counter[int] = field(default_factory=Counter)
    repaired: int = 0
    frames: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    problems: list[str] = field(default_factory=list)
    _clip: str | None = None

    @property
    def exported(self) -> int:
        """How many labels were exported."""
        return self.labels.total()

    def add(self, row: ExportRow) -> None:
        """Count an exported label; labels of a clip come together."""
        split, made_by = row.split, row.provenance
        if row.clip_id != self._clip:
            self._clip = row.clip_id
            self.clips[split] += 1
            self.leakage.add_clip(row)
        self.leakage.add_label(row)
        self.labels[split] += 1
        self.frames += len(row.scene.frames)
        self.decisions["longitudinal", row.longitudinal or "none", split] += 1
        self.decisions["lateral", _lateral(row), split] += 1
        self.statuses[row.check_status or UNCHECKED, split] += 1
        self.risks[_bin(row.risk), split] += 1
        self.makers[_maker(made_by)] += 1
        self.origins[made_by["origin"]] += 1
        self.schema_versions[row.schema_version] += 1
        self.repaired += made_by["repair"] == "repaired"

    def leave_out(self, reason: str) -> None:
        """Count a label that is left out."""
        self.left_out[reason] += 1

    def fail(self, reason: str, problem: str) -> None:
        """Count a label that is left out because something is broken."""
        self.left_out[reason] += 1
        self.failed += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)


def _lateral(row: ExportRow) -> str:
    return " ".join(part for part in (row.lateral or "none", row.direction) if part)


def _bin(risk: float | None) -> int:
    return -1 if risk is None else min(int(risk * RISK_BINS), RISK_BINS - 1)


def _maker(made_by: Any) -> Maker:
    agent, model = (made_by[name] or "unknown" for name in ("agent", "model"))
    return Maker(agent, model, made_by["prompt_version"] or "none", tuple(made_by["told_facts"]))
