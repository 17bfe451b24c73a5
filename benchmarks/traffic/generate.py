"""Command ``python -m benchmarks.traffic.generate OUT --clips 300 --seed 1``: simulate, record and tell the truth.

Needs the simulator (dependency group ``sumo``); the other parts of the benchmark only read what this wrote:
``OUT/clips`` in the layout of the dataset ``table``, ``OUT/truth.parquet`` with a row per keyframe, and the same
mirrored below ``OUT_mirrored``.
"""

import argparse
import importlib.util
import pickle
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.traffic import clips, truth_table
from benchmarks.traffic.mirror import mirror
from benchmarks.traffic.recording import Recording
from benchmarks.traffic.scenes import Scene
from benchmarks.traffic.truth import Ego
from coc_labeling.keyframes import KeyframeRules, select_keyframes
from meta_action.names import ALL_EGO, BY_NAME, parse_names
from meta_action.reading import read_spans
from meta_action.results import ResultsFolder
from meta_action.run import LabelRequest, label_dataset

SECONDS = 260.0
CLIPS_PER_RUN = 10
# How much of the data each family gives.
SHARES = {"arterial": 8, "town": 7, "rural": 4, "motorway": 6, "street": 5}


def main() -> int:
    """Generate a data set and print what is in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic.generate", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    binaries = _binaries()
    folder = arguments.out / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty: choose another folder, clips of two runs do not belong together")
    rows: list[dict[str, Any]] = []
    made: Counter[str] = Counter()
    rng = random.Random(arguments.seed)
    for recording in _recordings(_runs(arguments.clips, arguments.seed), binaries, arguments.workers):
        rows += _keep(recording, folder, rng, made)
        print(f"{recording.name} {recording.seed}: {len(rows)} keyframes", file=sys.stderr, flush=True)
    table = truth_table.write(rows, arguments.out / "truth.parquet")
    mirror(arguments.out, arguments.out.with_name(f"{arguments.out.name}_mirrored"))
    print(truth_table.summary(table))
    return 0


def _keep(recording: Recording, folder: Path, rng: random.Random, made: Counter[str]) -> list[dict[str, Any]]:
    """Write clips of a scenario into the folder and return the truth at their keyframes."""
    scene = Scene(recording)
    with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
        chosen = clips.choose(scene, CLIPS_PER_RUN, rng, made)
        tracks = {clip.clip_id: clips.write_clip(scene, clip, Path(staging)) for clip in chosen}
        keyframes = keyframes_of(Path(staging)) if chosen else {}
        for path in sorted(Path(staging).iterdir()):
            path.rename(folder / path.name)
    rows = []
    for clip in chosen:
        ego = Ego(scene, clip.ego)
        yaw = ego.motion.rear_yaw[clip.row : clip.row + clips.TICKS]
        for tick in sorted(keyframes.get(clip.clip_id, ())):
            rows.append(truth_table.row(clip, tick, ego.truth(clip.row + tick), tracks[clip.clip_id], yaw))
    return rows


def _binaries() -> Path:
    spec = importlib.util.find_spec("sumo")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("SUMO is not installed: pip install eclipse-sumo==1.28.0 libsumo==1.28.0")
    return Path(spec.submodule_search_locations[0]) / "bin"


def _runs(count: int, seed: int) -> list[tuple[str, int]]:
    """Return which scenarios to run: families in turn, each with seeds of its own."""
    total = sum(SHARES.values())
    runs = []
    for family, share in SHARES.items():
        number = max(1, round(count * share / total / CLIPS_PER_RUN))
        runs += [(i / number, family, 100 * seed + i) for i in range(number)]
    return [(family, own_seed) for _, family, own_seed in sorted(runs)]


def _recordings(runs: list[tuple[str, int]], binaries: Path, workers: int) -> Iterator[Recording]:
    """Run scenarios, several at once, each in a process of its own; yields in order."""
    with tempfile.TemporaryDirectory(prefix="coc-traffic-") as work, ThreadPoolExecutor(workers) as pool:

        def one(run: tuple[str, int]) -> Path:
            folder = Path(work) / f"{run[0]}-{run[1]}"
            command = [sys.executable, "-m", "benchmarks.traffic.simulate", run[0], str(run[1]), str(SECONDS)]
            done = subprocess.run([*command, str(folder), str(binaries)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{run[0]} {run[1]}: {done.stderr[-1500:]}")
            return folder / "recording.pickle"

        for start in range(0, len(runs), workers):  # recordings are large: never more on disk than workers
            for path in pool.map(one, runs[start : start + workers]):
                with path.open("rb") as file:
                    yield pickle.load(file)
                path.unlink()


def keyframes_of(folder: Path) -> dict[str, set[int]]:
    """Return the ticks that Steps 1 and 2 choose in each clip."""
    with tempfile.TemporaryDirectory(prefix="coc-traffic-") as work:
        names = parse_names([ALL_EGO])
        request = LabelRequest(
            dataset_name="table",
            data_dir=str(folder),
            save_dir=work,
            names=names,
            cache_dir=f"{work}/cache",
            scene_list=None,
            num_workers=1,
        )
        label_dataset(request)
        spans: pa.Table = read_spans(ResultsFolder(work, names).final_dir)
    chosen: dict[str, set[int]] = {}
    for own in select_keyframes(spans, KeyframeRules(actions=tuple(BY_NAME))):
        for clip_id, tick in zip(own.clip_id, own.start, strict=True):
            chosen.setdefault(str(clip_id), set()).add(int(tick))
    return chosen


if __name__ == "__main__":
    sys.exit(main())
