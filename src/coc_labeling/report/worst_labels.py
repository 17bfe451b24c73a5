"""The labels that are most likely wrong: each with its picture, and what speaks against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from coc_labeling.checks.results import CHECKS_SCHEMA
from coc_labeling.checks.risk import Status
from coc_labeling.report.check_statistics import CheckedRun
from coc_labeling.report.clips import ClipView, Keyframe, load_clips
from coc_labeling.report.moment_picture import Camera, Picture
from coc_labeling.report.runs import Run
from coc_labeling.report.sample import Candidate
from coc_labeling.report.tables import read_clips
from coc_labeling.results import KEY

WORST = 20
MOST_REASONS = 6
# How the names of a finding's numbers end, and the unit to show.
_UNITS = {"_mps2": "m/s²", "_mps": "m/s", "_sec": "s", "_rad": "rad", "_m": "m"}


@dataclass(frozen=True)
class Reason:
    """What speaks against a label.

    Attributes:
        text: in words.
        check: the check that says so; empty where no finding is kept of it.
        about: the claim.
        numbers: what was compared, name and value with its unit.
        is_told: whether it rests on facts that the labeller was told.
    """

    text: str
    check: str = ""
    about: str = ""
    numbers: tuple[str, ...] = ()
    is_told: bool = False


@dataclass(frozen=True)
class WorstLabel:
    """A label with its risk; ``more`` counts the reasons that are left out, ``record`` is its file's path."""

    view: ClipView
    keyframe: Keyframe
    risk: float
    status: str
    reasons: list[Reason]
    more: int
    record: str
    picture: Picture


def worst_labels(runs: Sequence[Run], checked: Sequence[CheckedRun], most: int = WORST) -> list[WorstLabel]:
    """Return the labels with the highest risk of all runs; of equal ones those that come first by clip and time."""
    ranked = _ranked(checked, most)
    rows = _rows_of(checked, ranked)
    clips = dict.fromkeys(Candidate(number, clip_id, frozenset()) for _, number, clip_id, _ in ranked)
    views = {(c.run, c.clip_id): view for c, view in zip(clips, load_clips(runs, list(clips)), strict=True)}
    cameras = {number: Camera(runs[number]) for _, number, _, _ in ranked}
    found = []
    for _, number, clip_id, t_us in ranked:
        view, row = views[number, clip_id], rows.get((number, clip_id, t_us))
        keyframe = next((k for k in view.keyframes if k.row["event_start_timestamp"] == t_us), None)
        if keyframe is not None and row is not None:
            found.append(_shown(view, keyframe, row, cameras[number].picture(view, keyframe)))
    return found


def _ranked(checked: Sequence[CheckedRun], most: int) -> list[tuple[float, int, str, int]]:
    """Return risk, run, clip and keyframe (us) of the labels to show."""
    found: list[tuple[float, int, str, int]] = []
    for own in checked:
        table = own.rows.table
        is_label = pc.not_equal(table.column("status"), Status.ABSTAINED)
        table = table.filter(pc.and_(is_label, pc.is_valid(table.column("risk"))))
        order = [("risk", "descending"), *((name, "ascending") for name in KEY)]
        worst = table.take(pc.select_k_unstable(table, most, order)).sort_by(order) if table.num_rows else table
        columns = (worst.column(name).to_pylist() for name in ("risk", *KEY))
        found += [(risk, own.number, clip_id, t_us) for risk, clip_id, t_us in zip(*columns, strict=True)]
    return sorted(found, key=lambda one: (-one[0], *one[1:]))[:most]


def _rows_of(
    checked: Sequence[CheckedRun], ranked: Sequence[tuple[float, int, str, int]]
) -> dict[tuple[int, str, int], dict[str, Any]]:
    """Read the findings of the labels to show."""
    rows: dict[tuple[int, str, int], dict[str, Any]] = {}
    for own in checked:
        clip_ids = sorted({clip_id for _, number, clip_id, _ in ranked if number == own.number})
        table = read_clips(own.rows.paths, CHECKS_SCHEMA, clip_ids)
        rows |= {(own.number, row["clip_id"], row["event_start_timestamp"]): row for row in table.to_pylist()}
    return rows


def _shown(view: ClipView, keyframe: Keyframe, row: Mapping[str, Any], picture: Picture) -> WorstLabel:
    texts = row["reasons"] or []
    reasons = [_reason(text, row["findings"] or []) for text in texts[:MOST_REASONS]]
    more = max(0, len(texts) - MOST_REASONS)
    record = f"{view.run.path}/{view.clip_id}/cot_{row['event_start_timestamp']}.yaml"
    return WorstLabel(view, keyframe, row["risk"], row["status"], reasons, more, record, picture)


def _reason(text: str, findings: Sequence[Mapping[str, Any]]) -> Reason:
    """Return a reason with the finding that it comes from: the gravest that says so."""
    # Reasons are whole in their list, and cut in findings.
    own = [finding for finding in findings if finding["reason"] and text.startswith(finding["reason"])]
    if not own:
        return Reason(text)
    finding = max(own, key=lambda one: (len(one["reason"]), one["severity"] or 0.0))
    numbers = tuple(measured(name, value) for name, value in finding["numbers"] or [])
    return Reason(text, finding["check"] or "", finding["about"] or "", numbers, bool(finding["not_independent"]))


def measured(name: str, value: float) -> str:
    """Return a number of a finding with its name in words and its unit.

    Example:
        >>> measured("falls_mps", 1.1503), measured("causes", 4.0)
        ('falls 1.15 m/s', 'causes 4')
    """
    ending = next((ending for ending in _UNITS if name.endswith(ending)), "")
    words = name.removesuffix(ending).replace("_", " ")
    number = f"{value + 0.0:.3g}" if abs(value) < 1000 else f"{value:.0f}"  # no zero with a minus sign
    return f"{words} {number} {_UNITS[ending]}" if ending else f"{words} {number}"
