"""Sentences that contradict their own trajectory: all of them as rows of a file, and the gravest to look at."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.pictures import picture_path
from driving_clips import files


def contradiction_rows(evaluated: Evaluated) -> Iterator[dict[str, Any]]:
    """Yield a row per contradicted claim of each contradicted sample, scene by scene."""
    for scene, label in zip(evaluated.scenes, evaluated.labels, strict=True):
        if not scene.contradictions:
            continue
        picture = picture_path(scene)
        for own in scene.contradictions:
            said = scene.decisions[own.sample]
            yield {
                "predictions": evaluated.name,
                "clip_id": scene.clip_id,
                "t0_us": scene.t0_us,
                "set": own.sample // scene.shape[1],
                "sample": own.sample % scene.shape[1],
                "sentence": own.sentence,
                "check": own.check,
                "claim": own.claim,
                "reason": own.reason,
                "severity": own.severity,
                "decision": said.names,
                "label": None if label is None else label.names,
                "scenario": scene.scenario,
                "picture": picture,
                "file": scene.line.path,
                "line": scene.line.number,
            }


def write_contradictions(path: str, evaluations: Sequence[Evaluated]) -> None:
    """Write a line of JSON per contradicted claim; empty where there is none."""
    files.make_parents(path)
    with files.atomic_path(path) as temporary, Path(temporary).open("w", encoding="ascii") as file:
        for own in evaluations:
            for row in contradiction_rows(own):
                file.write(json.dumps(row, allow_nan=False) + "\n")


def contradicted_scenes(evaluated: Evaluated) -> dict[str, list[int]]:
    """Return the rows of contradicted scenes by what the contradicted sentence decides, the gravest first.

    Of equally grave ones, those with more contradicted claims come first. A scene stands under each decision that one
    of its contradicted sentences makes; decisions with most scenes come first.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for row, scene in enumerate(evaluated.scenes):
        for own in scene.contradictions:
            rows = found.setdefault(scene.decisions[own.sample].summary, {})
            rows.setdefault(row, []).append(own.severity)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return {name: sorted(rows, key=lambda row: (-max(rows[row]), -len(rows[row]), row)) for name, rows in ordered}
