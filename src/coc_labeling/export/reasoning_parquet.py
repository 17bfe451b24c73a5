"""The label file that the reasoning model's fine-tuning reads: a row a clip, its labels as JSON."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coc_labeling.export.base import Exporter
from coc_labeling.export.content import Content
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow

PATH = "reasoning/ood_reasoning.parquet"
CLIPS_AT_ONCE = 2000


def _pandas(columns: dict[str, str]) -> bytes:
    """Return the metadata by which pandas makes the first column the index, as its developer guide describes it."""
    return json.dumps(
        {
            "index_columns": [next(iter(columns))],
            "column_indexes": [],
            "columns": [
                {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
                for name, kind in columns.items()
                for numpy in ("object" if kind == "unicode" else kind,)
            ],
            "creator": {"library": "pyarrow", "version": pa.__version__},
        }
    ).encode()


SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("events", pa.string()),
        ("split", pa.string()),
        ("provenance", pa.string()),
        ("schema_version", pa.int16()),
    ],
    metadata={
        "pandas": _pandas(
            {
                "clip_id": "unicode",
                "events": "unicode",
                "split": "unicode",
                "provenance": "unicode",
                "schema_version": "int16",
            }
        )
    },
)


class ReasoningParquet(Exporter):
    """``reasoning/ood_reasoning.parquet``, indexed by ``clip_id``.

    ``events`` is a JSON list of ``{event_start_timestamp (us), cot}``; ``provenance`` a JSON list in the same order,
    with risk, check status and schema version of each; ``schema_version`` the highest of them.
    """

    name = "reasoning-parquet"

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._writer = pq.ParquetWriter(folder.create(PATH), SCHEMA)
        self._clip: list[ExportRow] = []
        self._clips: list[dict[str, Any]] = []

    def add(self, row: ExportRow) -> None:
        """Add a label to its clip; an earlier clip is complete then."""
        if self._clip and self._clip[0].clip_id != row.clip_id:
            self._end_clip()
        self._clip.append(row)

    def close(self) -> None:
        """Write the last clips and close the file."""
        self._end_clip()
        self._write()
        self._writer.close()

    def data_files(self) -> dict[str, str]:
        """Return the one file; its column ``split`` tells the splits apart."""
        return {"labels": PATH}

    def _end_clip(self) -> None:
        if not self._clip:
            return
        rows, self._clip = self._clip, []
        self._clips.append(
            {
                "clip_id": rows[0].clip_id,
                "events": _json([_event(row) for row in rows]),
                "split": rows[0].split,
                "provenance": _json([_provenance(row) for row in rows]),
                "schema_version": max(row.schema_version for row in rows),
            }
        )
        if len(self._clips) >= CLIPS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        if self._clips:
            self._writer.write_table(pa.Table.from_pylist(self._clips, SCHEMA))
        self._clips = []


def _event(row: ExportRow) -> dict[str, Any]:
    return {"event_start_timestamp": row.event_start_timestamp, "cot": row.cot}


def _provenance(row: ExportRow) -> dict[str, Any]:
    return {
        **row.provenance,
        "schema_version": row.schema_version,
        "risk": row.risk,
        "check_status": row.check_status,
    }


def _json(content: list[dict[str, Any]]) -> str:
    return json.dumps(content, ensure_ascii=False)
