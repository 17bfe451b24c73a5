"""What the action space's fixed regularisation costs: futures turned into actions and rolled out again.

Needs the environment of ``make test-model``: ``.venv-model/bin/python -m benchmarks.action_space_bias``. Real drives
are those of ``demo_data`` and of a folder named on the command line; the machine plays no part in what is measured.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import Row, Scale, table

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "model"
REAL = (("boreas", ROOT / "demo_data" / "boreas"), ("comma2k19", ROOT / "demo_data" / "comma2k19"))
EVERY_US = 2_000_000
CIRCLES = ((20.0, 0.01), (10.0, 0.04), (5.0, 0.1), (3.0, 0.2))  # m/s, 1/m
TURNS = ((10.0, 0.03), (5.0, 0.1), (3.0, 0.2))
SECONDS_OF_TURN = 1.5


def rows(folders: list[tuple[str, Path]]) -> Iterator[Row]:
    """Yield what round trips cost: built drives, then those of each folder of a dataset."""
    sys.path.insert(0, str(TESTS))
    import drives

    straight = [drives.drive(lambda t, v=v: 0 * t + v, np.zeros_like) for v in (0.0, 1.0, 10.0, 30.0)]
    yield _row("straight, steady", straight, "0 to 30 m/s")
    braking = [drives.drive(lambda t, a=a: np.clip(10 - a * t, 0, 10), np.zeros_like) for a in (2.0, 4.0, 6.0)]
    yield _row("braking to a stop", braking, "10 m/s, 2 to 6 m/s^2")
    for v, k in CIRCLES:
        circle = drives.drive(lambda t, v=v: 0 * t + v, lambda t, k=k: 0 * t + k)
        yield _row(f"circle of {1 / k:.0f} m", [circle], f"{v:.0f} m/s, noise-free")
    for v, k in TURNS:
        turn = drives.drive(lambda t, v=v: 0 * t + v, lambda t, k=k: k * np.exp(-(((t - 3.0) / SECONDS_OF_TURN) ** 2)))
        yield _row(f"into and out of a turn of {1 / k:.0f} m", [turn], f"{v:.0f} m/s, noise-free")
    for name, folder in folders:
        yield _row(f"{name}, as recorded", list(_recorded(name, folder)), f"{folder.name}, a future every 2 s")


def _recorded(name: str, folder: Path) -> Iterator[Any]:
    """Yield a drive every two seconds of each clip of a dataset."""
    import torch

    import drives
    from alpamayo_r1.scenes import SceneReader
    from driving_clips.datasets import open_dataset
    from driving_clips.errors import ClipError

    reader = SceneReader(open_dataset(name, str(folder)))
    for source in reader.sources.values():
        for clip in reader.clips_of(source):
            for t0_us in reader.moments(clip, EVERY_US):
                try:
                    path = reader.path(clip, t0_us)
                except ClipError:
                    continue
                if len(path.future_xyz) == drives.FUTURE:
                    poses = (path.history_xyz, path.history_rot, path.future_xyz, path.future_rot)
                    yield drives.Drive(*(torch.from_numpy(pose).float() for pose in poses))


def _row(what: str, found: list[Any], how: str) -> Row:
    from alpamayo_r1.action_space import UnicycleAccelCurvatureActionSpace

    space = UnicycleAccelCurvatureActionSpace()
    off = []
    for drive in found:
        xyz, _ = space.action_to_traj(space.traj_to_action(*drive.all), *drive.history)
        off.append((xyz - drive.fut_xyz)[:, :2].norm(dim=-1).numpy())
    if not off:
        return Row(what, "", "no whole future", how)
    worst = np.max(off, axis=1)
    measured = f"mean {100 * np.mean(off):.2f}, largest {100 * worst.max():.2f} cm"
    if len(off) > 1:
        measured += f", largest of 99 in 100 futures {100 * np.quantile(worst, 0.99):.2f} cm"
    return Row(f"inverse and roll-out: {what}", "", measured, f"{how}, {len(off)} futures")


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Measure built drives and those of ``demo_data``."""
    if importlib.util.find_spec("torch") is None:
        return [Row("inverse and roll-out", "", "not measured: see benchmarks/action_space_bias.py", "")]
    return list(rows(list(REAL)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.action_space_bias", description=__doc__)
    parser.add_argument("--pai", type=Path, help="also the clips of this folder of the Physical AI dataset")
    pai = parser.parse_args().pai
    print(table(list(rows([*REAL, *([("pai", pai)] if pai else [])]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
