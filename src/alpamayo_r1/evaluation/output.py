"""An evaluation as files: JSON with all that was measured, and a table with a row per scene."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alpamayo_r1.evaluation import comfort, corridor
from alpamayo_r1.evaluation.comparing import Comparison, verdict
from alpamayo_r1.evaluation.consistency import CLEAR
from alpamayo_r1.evaluation.displacement import BOX_M, HORIZONS_SEC
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.labels import NEAR_US
from alpamayo_r1.evaluation.measures import KEYS
from alpamayo_r1.evaluation.steps import step_of
from alpamayo_r1.evaluation.summarising import SEED, Group, Summary
from batch_runs.outcomes import FAILED
from coc_labeling.agreement.decided import DECISIONS, LATERAL_WITH_DIRECTION, Channel
from coc_labeling.agreement.resampling import RESAMPLES, Measured
from driving_clips import files

EVALUATION_VERSION = 1
MOST_PROBLEMS = 1_000


def as_dict(summaries: Sequence[Summary], comparisons: Sequence[Comparison], labels: str | None) -> dict[str, Any]:
    """Return all that was measured, fit for JSON; ``labels`` is the run that sentences were compared with."""
    return {
        "evaluation_version": EVALUATION_VERSION,
        "code_version": version("coc-toolkit"),
        "labels": labels,
        "settings": _settings(),
        "evaluations": [_summary(one) for one in summaries],
        "comparisons": [_comparison(one) for one in comparisons],
    }


def _settings() -> dict[str, Any]:
    return {
        "horizons_sec": HORIZONS_SEC,
        "box_m": BOX_M,
        "corridor_half_width_m": corridor.HALF_WIDTH_M,
        "comfort_limits": {
            "braking_mps2": comfort.MOST_BRAKING_MPS2,
            "speeding_up_mps2": comfort.MOST_SPEEDING_UP_MPS2,
            "lateral_mps2": comfort.MOST_LATERAL_MPS2,
            "jerk_mps3": comfort.MOST_JERK_MPS3,
        },
        "clear_contradiction": CLEAR,
        "label_within_us": NEAR_US,
        "bootstrap": {"kind": "percentile, clips with replacement", "resamples": RESAMPLES, "seed": SEED},
    }


def _summary(own: Summary) -> dict[str, Any]:
    evaluated = own.evaluated
    failed = evaluated.tally.by_reason[FAILED]
    messages = [message for reason in failed.values() for message in reason.values()]
    return {
        "name": evaluated.name,
        "step": step_of(evaluated.name),
        "files": list(evaluated.paths),
        "models": evaluated.models,
        "scenes": len(evaluated),
        "clips": evaluated.clips,
        "labelled_scenes": sum(label is not None for label in evaluated.labels),
        "shapes": [
            {"sets": sets, "samples": samples, "steps": steps, "scenes": count}
            for (sets, samples, steps), count in sorted(evaluated.shapes.items())
        ],
        "bad_lines": {reason: len(items) for reason, items in failed.items() if items},
        "problems": messages[:MOST_PROBLEMS],
        "scenes_with_problems": sum(scene.problems > 0 for scene in evaluated.scenes),
        "total": _measures(own.total),
        "by_decision": [_group(group) for group in own.by_decision],
        "by_scenario": [_group(group) for group in own.by_scenario],
        "by_said": [_group(group) for group in own.by_said],
        "agreement": {question: one.as_dict() for question, one in own.agreement.items()},
    }


def _measures(measures: dict[str, Measured]) -> dict[str, Any]:
    return {key: measured.as_dict() for key, measured in measures.items()}


def _group(group: Group) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "name": group.name,
        "scenes": group.scenes,
        "clips": group.clips,
        "measures": _measures(group.measures),
    }


def _differences(differences: dict[str, Measured]) -> dict[str, Any]:
    return {
        key: measured.as_dict() | {"verdict": verdict(key, measured) or None} for key, measured in differences.items()
    }


def _group_of_differences(group: Group) -> dict[str, Any]:
    return _group(group) | {"measures": _differences(group.measures)}


def _comparison(own: Comparison) -> dict[str, Any]:
    return {
        "base": own.base,
        "other": own.other,
        "scenes": own.scenes,
        "clips": own.clips,
        "only_base": own.only_base,
        "only_other": own.only_other,
        "notices": list(own.notices),
        "differences": _differences(own.differences),
        "by_decision": [_group_of_differences(group) for group in own.by_decision],
        "by_scenario": [_group_of_differences(group) for group in own.by_scenario],
    }


def write_json(path: str, content: dict[str, Any]) -> None:
    """Write all that was measured."""
    files.make_parents(path)
    files.write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_scenes(path: str, evaluations: Sequence[Evaluated]) -> None:
    """Write a table with a row per scene and model: where it stands, its classes, decisions and measures."""
    table = pa.concat_tables([_table(one) for one in evaluations])
    files.make_parents(path)
    with files.atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def _table(own: Evaluated) -> pa.Table:
    scenes = own.scenes
    columns: dict[str, pa.Array] = {
        "predictions": pa.array([own.name] * len(scenes), pa.string()),
        "clip_id": pa.array([scene.clip_id for scene in scenes], pa.string()),
        "t0_us": pa.array([scene.t0_us for scene in scenes], pa.int64()),
        "file": pa.array([scene.line.path for scene in scenes], pa.string()),
        "line": pa.array([scene.line.number for scene in scenes], pa.int64()),
    }
    columns |= {
        name: pa.array([scene.shape[place] for scene in scenes], pa.int32())
        for place, name in enumerate(("sets", "samples", "steps"))
    }
    columns |= {kind: pa.array([s.scenario[kind] for s in scenes], pa.string()) for kind in scenes[0].scenario}
    for place, channel in enumerate(Channel):
        names = (DECISIONS[Channel.LONGITUDINAL], LATERAL_WITH_DIRECTION)[place]
        numbers = ("longitudinal", "lateral_with_direction")[place]
        said = [[str(names[getattr(one, numbers)]) for one in scene.decisions] for scene in scenes]
        label = [None if one is None else str(names[getattr(one, numbers)]) for one in own.labels]
        columns |= {
            f"{channel}_label": pa.array(label, pa.string()),
            f"{channel}_said": pa.array(said, pa.list_(pa.string())),
        }
    columns["fit"] = pa.array([list(scene.fits) for scene in scenes], pa.list_(pa.string()))
    for key, values in zip(KEYS, own.values.T, strict=True):
        columns[key] = pa.array(np.where(np.isnan(values), 0.0, values), pa.float64(), mask=np.isnan(values))
    return pa.table(columns)
