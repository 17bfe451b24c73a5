"""The same data set seen in a mirror: left is right and right is left."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.traffic import truth_table

OTHER = {"left": "right", "right": "left"}


def mirror(source: Path, target: Path) -> None:
    """Write the clips and the truth below ``source`` mirrored (y and yaw negated, sides exchanged) to ``target``."""
    (target / "clips").mkdir(parents=True, exist_ok=True)
    for path in sorted((source / "clips").glob("*.csv")):
        pa.csv.write_csv(_negated(pa.csv.read_csv(path), ("y", "yaw", "vy")), target / "clips" / path.name)
    for path in sorted((source / "clips").glob("*.obstacles.parquet")):
        # A rotation about z mirrored: the angle's sign changes, and with it that of x and z of the quaternion.
        boxes = _negated(pq.read_table(path), ("center_y", "orientation_x", "orientation_z"))
        pq.write_table(boxes, target / "clips" / path.name)
    truth_table.write([_row(row) for row in truth_table.read(source / "truth.parquet")], target / "truth.parquet")


def _negated(table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    for name in names:
        place = table.column_names.index(name)
        table = table.set_column(place, name, pc.negate(pc.cast(table.column(name), pa.float64())))
    return table


def _row(row: dict[str, Any]) -> dict[str, Any]:
    mirrored = dict(row)
    for name in ("direction", "changes_lane"):
        mirrored[name] = OTHER.get(row[name], row[name])
    mirrored["lateral_accepted"] = [_decision(text) for text in row["lateral_accepted"]]
    mirrored["later"] = row["later"] and _cause(row["later"])
    for name in ("causes", "lateral_causes"):
        mirrored[name] = [_cause(cause) for cause in row[name]]
    return mirrored


def _cause(cause: dict[str, Any]) -> dict[str, Any]:
    return {**cause, "side": OTHER.get(cause["side"], cause["side"])}


def _decision(text: str) -> str:
    decision, _, side = text.partition(":")
    return f"{decision}:{OTHER[side]}" if side else decision
