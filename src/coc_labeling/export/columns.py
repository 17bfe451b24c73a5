"""Columns of datasets as Arrow types, and as a card tells them to the ``datasets`` library.

Files without types (JSON, CSV, tar) leave a reader to guess them from the first rows, and a column that is empty there
gets a type that later texts do not fit. So the card of such a format names them.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

Column = tuple[str, pa.DataType]

TEXTS = pa.list_(pa.string())
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
LABEL = pa.struct(
    [
        ("taxonomy_version", pa.int16()),
        ("longitudinal", pa.struct([("decision", pa.string()), ("cause_ids", TEXTS)])),
        ("lateral", pa.struct([("decision", pa.string()), ("direction", pa.string()), ("cause_ids", TEXTS)])),
        ("trace", pa.string()),
        ("effect_on_ego_behavior", pa.string()),
        (
            "components",
            pa.list_(
                pa.struct([(n, pa.string()) for n in ("id", "category", "relation", "side", "description", "track_id")])
            ),
        ),
    ]
)
PROVENANCE = pa.struct(
    [
        *(
            (name, pa.string())
            for name in ("dataset", "run", "origin", "agent", "model", "prompt_version", "prompt_hash", "repair")
        ),
        ("told_facts", TEXTS),
        ("reviewers", pa.int16()),
        ("export_version", pa.int16()),
    ]
)
# Of every label, in the order of ``rows.COLUMNS``.
OF_LABELS: tuple[Column, ...] = (
    ("clip_id", pa.string()),
    ("event_start_timestamp", pa.int64()),
    ("event_start_frame", pa.int32()),
    ("split", pa.string()),
    ("drive", pa.string()),
    ("cot", pa.string()),
    ("longitudinal", pa.string()),
    ("longitudinal_causes", TEXTS),
    ("lateral", pa.string()),
    ("direction", pa.string()),
    ("lateral_causes", TEXTS),
    ("label", LABEL),
    ("risk", pa.float64()),
    ("check_status", pa.string()),
    ("schema_version", pa.int16()),
    ("provenance", PROVENANCE),
)
OF_FRAMES: tuple[Column, ...] = (("cameras", TEXTS), ("frame_times_us", pa.list_(pa.int64())))


def card_features(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as the ``features`` of a card's ``dataset_info``.

    Example:
        >>> card_features([("cot", pa.string()), ("images", pa.list_(IMAGE))])
        [{'name': 'cot', 'dtype': 'string'}, {'name': 'images', 'list': 'image'}]
    """
    return [{"name": name, **_feature(kind)} for name, kind in columns]


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == IMAGE:
        return {"dtype": "image"}
    if pa.types.is_struct(kind):
        return {"struct": card_features([(field.name, field.type) for field in kind])}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    return {"dtype": {pa.float64(): "float64"}.get(kind, str(kind))}
