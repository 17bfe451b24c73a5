"""Real scenes with tracks, as a ``table`` dataset: nuScenes mini (from ScenarioNet) and Argoverse 2 sensor logs.

python -m benchmarks.real_drives OUT     # reads the folder that COC_EXTRA_DATA names; nothing of it may be passed on
coc run --dataset table --data_dir OUT/clips --out OUT/run
"""

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as pf
import pyarrow.parquet as pq

from driving_clips.geometry import multiply, rotate

NUSCENES = {"VEHICLE": "automobile", "PEDESTRIAN": "person", "CYCLIST": "rider"}  # all else protrudes
AV2 = {
    "REGULAR_VEHICLE": "automobile",
    "LARGE_VEHICLE": "heavy_truck",
    "BOX_TRUCK": "heavy_truck",
    "TRUCK": "heavy_truck",
    "TRUCK_CAB": "heavy_truck",
    "VEHICULAR_TRAILER": "trailer",
    "BUS": "bus",
    "SCHOOL_BUS": "bus",
    "ARTICULATED_BUS": "bus",
    "RAILED_VEHICLE": "train_or_tram_car",
    "PEDESTRIAN": "person",
    "STROLLER": "stroller",
    "WHEELCHAIR": "person",
    "BICYCLIST": "rider",
    "MOTORCYCLIST": "rider",
    "DOG": "animal",
}
ON_ITS_OWN = frozenset({"BICYCLE", "MOTORCYCLE", "WHEELED_DEVICE", "SIGN", "MESSAGE_BOARD_TRAILER"})
BUS_M, TRUCK_M = 10.5, 6.5


def quat_of(yaw: np.ndarray) -> np.ndarray:
    """Return (N, 4) scalar-last rotations about z."""
    zero = np.zeros_like(yaw)
    return np.stack([zero, zero, np.sin(yaw / 2), np.cos(yaw / 2)], axis=1)


def write(out: Path, clip: str, ego: dict, boxes: dict) -> None:
    """Write one clip: ego as columns; boxes with center (N, 3) and quat (N, 4) in the rig frame."""
    pq.write_table(pa.table(ego), out / f"{clip}.parquet")
    center, quat, size = boxes["center"], boxes["quat"], boxes["size"]
    columns = {"timestamp_us": boxes["t_us"], "track_id": boxes["track_id"]}
    columns |= {f"center_{a}": center[:, k] for k, a in enumerate("xyz")}
    columns |= {f"size_{a}": size[:, k] for k, a in enumerate("xyz")}
    columns |= {f"orientation_{a}": quat[:, k] for k, a in enumerate("xyzw")}
    columns |= {"label_class": boxes["label_class"], "reference_frame": ["rig"] * len(center)}
    columns |= {"reference_frame_timestamp_us": boxes["t_us"]}
    pq.write_table(pa.table(columns), out / f"{clip}.obstacles.parquet")


def inverse(quat: np.ndarray) -> np.ndarray:
    """Return the inverse rotations."""
    return quat * np.array([-1.0, -1.0, -1.0, 1.0])


def convert_nuscenes(path: Path, out: Path) -> None:
    """Convert one scene; its places are global."""
    table = {name: column.to_numpy(zero_copy_only=False) for name, column in _columns(pq.read_table(path))}
    is_ego = table["is_ego"].astype(bool)
    t_us = np.rint(table["t_s"] * 1e6).astype(np.int64)
    order = np.argsort(t_us[is_ego])
    origin = np.array([table["x"][is_ego][order][0], table["y"][is_ego][order][0], 0.0])
    place = np.stack([table["x"], table["y"], table["z"]], axis=1) - origin
    ego = place[is_ego][order], table["heading"][is_ego][order], t_us[is_ego][order]
    columns = {"timestamp_us": ego[2], "x": ego[0][:, 0], "y": ego[0][:, 1], "yaw": ego[1]}
    others = np.flatnonzero(~is_ego)
    row = np.searchsorted(ego[2], t_us[others])
    back = inverse(quat_of(ego[1]))[row]
    size = np.stack([table["length"], table["width"], table["height"]], axis=1)[others]
    kinds = [NUSCENES.get(kind, "protruding_object") for kind in table["type"][others]]
    long = size[:, 0]
    kinds = [
        ("bus" if m >= BUS_M else "heavy_truck" if m >= TRUCK_M else kind) if kind == "automobile" else kind
        for kind, m in zip(kinds, long, strict=True)
    ]
    boxes = {
        "t_us": t_us[others],
        "track_id": [name[:8] for name in table["track_id"][others]],
        "center": rotate(back, place[others] - ego[0][row]),
        "quat": multiply(back, quat_of(table["heading"][others])),
        "size": size,
        "label_class": kinds,
    }
    write(out, f"nuscenes-{path.name.split('.')[0]}", columns, boxes)


def _columns(table: pa.Table):
    return zip(table.column_names, table.columns, strict=True)


def convert_av2(folder: Path, out: Path) -> None:
    """Convert one log; its boxes are in the ego frame."""
    poses = {n: c.to_numpy() for n, c in _columns(pf.read_table(folder / "city_SE3_egovehicle.feather"))}
    noted = next(folder.glob("annotations*.feather"))
    table = {n: c.to_numpy(zero_copy_only=False) for n, c in _columns(pf.read_table(noted))}
    start = int(table["timestamp_ns"].min())
    ego_us = (poses["timestamp_ns"] - start) // 1000
    order = np.argsort(ego_us)
    xyz = np.stack([poses[f"t{a}_m"] for a in "xyz"], axis=1)[order]
    columns = {"timestamp_us": ego_us[order]} | {a: xyz[:, k] - xyz[0, k] for k, a in enumerate("xyz")}
    columns |= {f"q{a}": poses[f"q{a}"][order] for a in "xyzw"}
    kept = np.flatnonzero([c != "EGO_VEHICLE" and c not in ON_ITS_OWN for c in table["category"]])
    boxes = {
        "t_us": (table["timestamp_ns"][kept] - start) // 1000,
        "track_id": [name[:8] for name in table["track_uuid"][kept]],
        "center": np.stack([table[f"t{a}_m"] for a in "xyz"], axis=1)[kept],
        "quat": np.stack([table[f"q{a}"] for a in "xyzw"], axis=1)[kept],
        "size": np.stack([table[f"{a}_m"] for a in ("length", "width", "height")], axis=1)[kept].astype(float),
        "label_class": [AV2.get(c, "protruding_object") for c in table["category"][kept]],
    }
    write(out, f"av2-{folder.name[:8]}", columns, boxes)


def main() -> int:
    """Convert all scenes."""
    extra = os.environ.get("COC_EXTRA_DATA")
    if not extra or len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[1]) / "clips"
    out.mkdir(parents=True, exist_ok=True)
    scenes = sorted(Path(extra, "nuscenes_mini").glob("*.tracks.parquet"))
    logs = sorted(p for p in Path(extra, "av2_logs").iterdir() if (p / "city_SE3_egovehicle.feather").exists())
    for path in scenes:
        convert_nuscenes(path, out)
    for path in logs:
        convert_av2(path, out)
    print(f"{len(scenes)} scenes and {len(logs)} logs in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
