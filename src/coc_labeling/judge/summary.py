"""``validation.json``: the rows of a judge joined per label, what they come to, and whether they mean anything."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from coc_labeling.judge.controls import Telling
from coc_labeling.judge.rows import Cells, Kind, Rows
from coc_labeling.judge.separation import Informativeness, Scores, informativeness
from coc_labeling.judge.stages import Stage

NO_DECISION = "none"
BINS = 10


def informative(rows: Rows) -> Informativeness:
    """Return whether the scores mean anything, by the controls there are."""
    pairs = {stage: _pairs(rows, stage) for stage in _asked(rows)}
    return informativeness(
        {stage: twins for stage, (twins, _) in pairs.items()},
        {stage: planted for stage, (_, planted) in pairs.items()},
        _scored(rows, Telling.TWIN),
        _scored(rows, Telling.PLANTED),
    )


def _pairs(rows: Rows, stage: Stage) -> tuple[Scores, Scores]:
    """Return the scores of a stage of each twin and its planted label, where there are both."""
    sides = [rows.table(telling)[:, stage - 1] for telling in (Telling.TWIN, Telling.PLANTED)]
    if not all(map(len, sides)):
        sides = [side[:0] for side in sides]
    both = np.logical_and(*(side["kind"] == Kind.EVALUATED for side in sides))
    twins, planted = (side["scores"][both, : len(stage.scores)] for side in sides)
    return twins, planted


def _scored(rows: Rows, telling: Telling) -> int:
    """Return how many labels were scored in some stage."""
    return int(np.sum(np.any(rows.table(telling)["kind"] == Kind.EVALUATED, axis=1)))


def statistics_of(rows: Rows) -> dict[str, Any]:
    """Return counts, and mean and median of each score: of all labels, and by decision on speed.

    ``bins`` are the labels by tenth of each score, ``decisions`` the labels by decision on speed.
    """
    cells = rows.table(Telling.LABEL)
    evaluated = cells["kind"] == Kind.EVALUATED
    decisions = {rows.words[number] or NO_DECISION: number for number in np.unique(cells["decision"][evaluated])}
    asked = np.any(cells["kind"] != Kind.UNKNOWN, axis=1)
    decided = cells["decision"].max(axis=1, initial=0)[asked]  # 0 for a stage that was not asked about
    return {
        "labels": int(np.sum(asked)),
        "decisions": {name: int(np.sum(decided == decisions[name])) for name in sorted(decisions)},
        "counts": {stage.title: _counts(cells[:, stage - 1]) for stage in _asked(rows)},
        "scores": _scores(cells, evaluated),
        "bins": {name: _bins(column) for name, column in _columns(cells, evaluated)},
        "by_longitudinal": {
            name: _scores(cells, evaluated & (cells["decision"] == decisions[name])) for name in sorted(decisions)
        },
    }


def _asked(rows: Rows) -> list[Stage]:
    """Return the stages that some label was asked about."""
    cells = rows.table(Telling.LABEL)
    return [stage for stage in Stage if np.any(cells["kind"][:, stage - 1] != Kind.UNKNOWN)]


def _counts(cells: Cells) -> dict[str, int]:
    kinds = {"evaluated": Kind.EVALUATED, "skipped": Kind.SKIPPED, "errors": Kind.ERROR}
    return {name: int(np.sum(cells["kind"] == kind)) for name, kind in kinds.items()}


def _scores(cells: Cells, chosen: np.ndarray) -> dict[str, dict[str, float]]:
    """Return mean, median and count of each score of the chosen cells, (labels, stages)."""
    found = {}
    for name, column in _columns(cells, chosen):
        mean, median = (round(float(value), 4) for value in (np.mean(column), np.median(column)))
        found[name] = {"mean": mean, "median": median, "n": len(column)}
    return found


def _columns(cells: Cells, chosen: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each score that there is any of, with its values in the chosen cells, (labels, stages)."""
    for stage in Stage:
        scores = cells["scores"][:, stage - 1][chosen[:, stage - 1]]
        for number, name in enumerate(stage.scores):
            column = scores[:, number][~np.isnan(scores[:, number])]
            if len(column):
                yield name, column


def _bins(scores: np.ndarray) -> list[int]:
    """Return how many scores lie in each tenth from 0 to 1; 0.3 begins one, though 0.3 * 10 is less than 3."""
    tenths = np.minimum((scores * BINS + 1e-9).astype(np.intp), BINS - 1)
    return [int(count) for count in np.bincount(tenths, minlength=BINS)]


_OF_LABEL = ("clip_id", "event_timestamp", "yaml_path", "video_segment", "source_video_path", "coc_label")


def joined(rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield a row per label with the evaluation of each stage, or why it has none."""
    return map(_joined, rows.labels())


def _joined(by_stage: Sequence[tuple[Stage, dict[str, Any]]]) -> dict[str, Any]:
    first = by_stage[0][1]
    told: dict[str, Any] = {name: first.get(name) for name in (*_OF_LABEL, "longitudinal")}
    told["evaluation"] = {stage.title: row["evaluation"] for stage, row in by_stage}
    told["errors"] = {stage.title: row["error"] for stage, row in by_stage if row["error"] is not None}
    told["skipped"] = {stage.title: row["skipped"] for stage, row in by_stage if row["skipped"] is not None}
    return told
