"""What one exported label is, whatever the format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coc_labeling.export.scenes import NOTHING, Scene

EXPORT_VERSION = 2  # raise it when the columns of a format change
_LABEL_KEYS = ("longitudinal", "lateral", "trace", "effect_on_ego_behavior")
_COMPONENT_KEYS = ("id", "category", "relation", "side", "description", "track_id")


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One label of a dataset.

    Attributes:
        clip_id: its clip.
        event_start_timestamp: the keyframe, us on the clip clock.
        event_start_frame: the same in ticks of 0.1 s.
        split: what it is for, such as ``sft``.
        drive: the drive that its clip was cut from; None where the dataset does not tell.
        cot: the training text, the sentence or the trace.
        longitudinal: the decision on speed, None where there is none.
        longitudinal_causes: ``category:relation`` of its causes, or ``unobserved``.
        lateral: the decision on the lane, None where there is none.
        direction: left or right, None where there is none.
        lateral_causes: as for speed.
        label: the whole label with all its keys, without what only emerged after the keyframe.
        risk: how likely it is wrong by its checks, 0 to 1; None where it has not been checked as it is now.
        check_status: the same in a word.
        schema_version: of the record.
        provenance: what made it, see ``provenance_of``.
        meta_actions: names of those that start at the keyframe.
        scene: what was seen and driven around it, as far as the format needs it.
    """

    clip_id: str
    event_start_timestamp: int
    event_start_frame: int
    split: str
    drive: str | None
    cot: str
    longitudinal: str | None
    longitudinal_causes: tuple[str, ...]
    lateral: str | None
    direction: str | None
    lateral_causes: tuple[str, ...]
    label: Mapping[str, Any]
    risk: float | None
    check_status: str | None
    schema_version: int
    provenance: Mapping[str, Any]
    meta_actions: tuple[str, ...] = ()
    scene: Scene = NOTHING


COLUMNS = tuple(name for name in ExportRow.__dataclass_fields__ if name not in ("meta_actions", "scene"))


def as_dict(row: ExportRow) -> dict[str, Any]:
    """Return a row as a dictionary, in the order of its columns."""
    return {name: getattr(row, name) for name in COLUMNS}


def whole_label(text: str | None) -> dict[str, Any]:
    """Return the label of a row of ``labels.parquet`` with the same keys for every label.

    ``emerged_after`` is left out: it tells what came into sight after the keyframe, and is no cause.

    Raises:
        ValueError: it is none, or has characters that no text file holds.

    Example:
        >>> whole_label('{"taxonomy_version": 1}')["components"]
        []
    """
    try:
        label = json.loads(text) if text else {}
        components = [{key: own.get(key) for key in _COMPONENT_KEYS} for own in label.get("components", ())]
        whole = {
            "taxonomy_version": label.get("taxonomy_version"),
            **{key: label.get(key) for key in _LABEL_KEYS},
            "lateral": {"direction": None} | label["lateral"] if label.get("lateral") else None,
            "components": components,
        }
        json.dumps(whole, ensure_ascii=False).encode()
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"expected a label as JSON ({error})") from error
    return whole


def provenance_of(
    row: Mapping[str, Any], dataset: str, run: str, origin: str, reviewers: int | None = None
) -> dict[str, Any]:
    """Return what made a label.

    Args:
        row: its row of ``labels.parquet``.
        dataset: the dataset's name.
        run: the name of its experiment folder.
        origin: ``generated``, or what people did with it.
        reviewers: how many people judged it; None where reviews were not asked.
    """
    return {
        "dataset": dataset,
        "run": run,
        "origin": origin,
        "agent": row["agent"],
        "model": row["model"],
        "prompt_version": row["prompt_version"],
        "prompt_hash": row["prompt_hash"],
        "repair": row["repair"],
        "told_facts": row["told_facts"] or [],
        "reviewers": reviewers,
        "export_version": EXPORT_VERSION,
    }
