"""``validation.json``: the rows of a judge joined per label, what they come to, and whether they mean anything."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coc_labeling.judge.controls import Telling
from coc_labeling.judge.results import Rows
from coc_labeling.judge.separation import Informativeness, informativeness
from coc_labeling.judge.stages import Stage

NO_DECISION = "none"


OfLabels = Mapping[tuple[str, int], Mapping[Stage, Mapping[str, Any]]]


@dataclass(frozen=True)
class Current:
    """The rows that fit how a judge is asked today and what the labels are today.

    Attributes:
        tellings: by telling, clip and keyframe, and stage.
        outdated: rows about labels that have changed or are gone.
    """

    tellings: Mapping[Telling, OfLabels]
    outdated: int

    @property
    def own(self) -> OfLabels:
        """The rows of labels as they are."""
        return self.tellings[Telling.LABEL]

    def pairs(self, stage: Stage) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Return the evaluations of a stage of each twin and its planted label, where there are both."""
        found = []
        for moment, by_stage in self.tellings[Telling.TWIN].items():
            twin, planted = by_stage.get(stage), self.tellings[Telling.PLANTED].get(moment, {}).get(stage)
            if twin and planted and twin["evaluation"] is not None and planted["evaluation"] is not None:
                found.append((twin["evaluation"], planted["evaluation"]))
        return found

    def scored(self, telling: Telling) -> int:
        """Return how many labels were scored in some stage."""
        labels = self.tellings[telling].values()
        return sum(any(row["evaluation"] is not None for row in by_stage.values()) for by_stage in labels)

    def rows(self) -> list[Mapping[str, Any]]:
        """Return all rows."""
        return [row for side in self.tellings.values() for by_stage in side.values() for row in by_stage.values()]


def current(rows: Rows, hashes: Mapping[Stage, str], labels: Mapping[tuple[str, int], str]) -> Current:
    """Return the rows to sum up.

    Args:
        rows: all there are.
        hashes: of how each stage is asked.
        labels: hashes of the labels, by clip and keyframe; empty where it is not known.
    """
    tellings: dict[Telling, dict[tuple[str, int], dict[Stage, Mapping[str, Any]]]] = {t: {} for t in Telling}
    outdated = 0
    for (key, question_hash), row in sorted(rows.latest.items(), key=lambda item: item[0]):
        if question_hash != hashes[key.stage]:
            continue
        label = labels.get((key.clip_id, key.t_us))
        if label is None or (label and label != row["label_hash"]):
            outdated += 1
            continue
        tellings[key.telling].setdefault((key.clip_id, key.t_us), {})[key.stage] = row
    return Current(tellings, outdated)


def informative(found: Current) -> Informativeness:
    """Return whether the scores mean anything, by the controls there are."""
    pairs = {stage: found.pairs(stage) for stage in Stage if _asked(found, stage)}
    return informativeness(
        {stage: [twin for twin, _ in own] for stage, own in pairs.items()},
        {stage: [planted for _, planted in own] for stage, own in pairs.items()},
        found.scored(Telling.TWIN),
        found.scored(Telling.PLANTED),
    )


def statistics_of(found: Current) -> dict[str, Any]:
    """Return counts, and mean and median of each score: of all labels, and by decision on speed."""
    by_decision: dict[str, list[tuple[Stage, Mapping[str, Any]]]] = defaultdict(list)
    everything: list[tuple[Stage, Mapping[str, Any]]] = []
    counts: dict[str, dict[str, int]] = {
        stage.title: {"evaluated": 0, "skipped": 0, "errors": 0} for stage in Stage if _asked(found, stage)
    }
    for by_stage in found.own.values():
        for stage, row in by_stage.items():
            counts[stage.title][_kind(row)] += 1
            if row["evaluation"] is not None:
                everything.append((stage, row["evaluation"]))
                by_decision[row.get("longitudinal") or NO_DECISION].append((stage, row["evaluation"]))
    return {
        "labels": len(found.own),
        "counts": counts,
        "scores": _scores(everything),
        "by_longitudinal": {name: _scores(by_decision[name]) for name in sorted(by_decision)},
    }


def _asked(found: Current, stage: Stage) -> bool:
    return any(stage in by_stage for by_stage in found.own.values())


def _kind(row: Mapping[str, Any]) -> str:
    if row["evaluation"] is not None:
        return "evaluated"
    return "errors" if row["error"] is not None else "skipped"


def _scores(evaluations: Iterable[tuple[Stage, Mapping[str, Any]]]) -> dict[str, dict[str, float]]:
    columns: dict[str, list[float]] = defaultdict(list)
    for stage, evaluation in evaluations:
        for name in stage.scores:
            if evaluation.get(name) is not None:
                columns[name].append(evaluation[name])
    return {
        name: {
            "mean": round(statistics.fmean(columns[name]), 4),
            "median": round(statistics.median(columns[name]), 4),
            "n": len(columns[name]),
        }
        for stage in Stage
        for name in stage.scores
        if name in columns
    }


_OF_LABEL = ("clip_id", "event_timestamp", "yaml_path", "video_segment", "source_video_path", "coc_label")


def joined(found: Current) -> list[dict[str, Any]]:
    """Return a row per label with the evaluation of each stage, or why it has none."""
    return [_joined(list(by_stage.items())) for by_stage in found.own.values()]


def _joined(by_stage: Sequence[tuple[Stage, Mapping[str, Any]]]) -> dict[str, Any]:
    first = by_stage[0][1]
    told: dict[str, Any] = {name: first.get(name) for name in (*_OF_LABEL, "longitudinal")}
    told["evaluation"] = {stage.title: row["evaluation"] for stage, row in by_stage}
    told["errors"] = {stage.title: row["error"] for stage, row in by_stage if row["error"] is not None}
    told["skipped"] = {stage.title: row["skipped"] for stage, row in by_stage if row["skipped"] is not None}
    return told


def model_ids(found: Current) -> list[str]:
    """Return the provider's names of the model that judged, as the rows have them."""
    return sorted({row["evaluator_model_id"] for row in found.rows() if isinstance(row.get("evaluator_model_id"), str)})
