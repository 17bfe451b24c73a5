"""Command ``python -m benchmarks.traffic.planted_errors DATA OUT``: errors that the checks must find.

Writes two experiment folders below OUT from the truth of simulated traffic: ``correct`` holds labels that are true,
``planted`` the same moments with one error of a known kind each (``planted.parquet`` says which). Both are checked as
``coc check`` does it; printed are recall per kind, false alarms, and how well the risk ranks errors first.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.traffic import truth_table
from benchmarks.traffic.labels import component, correct_label
from coc_labeling.checks.results import load_checks
from coc_labeling.checks.run import check_run
from coc_labeling.config.loading import load_config
from coc_labeling.planting import Error, Known, plant
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import Category, CoCLabel, LateralDecision, Provenance, Record, Side, released_content
from driving_clips.ego_motion import TICK_US

Moment = tuple[str, int]
STOP_TICKS, UNKNOWN_STOP_MPS = 90, 5.0  # a stop that a label means is over by then
DECISION_TICKS, BEND_SHOWS_RAD = 30, 0.2
CALLED_WRONG = 0.5  # more likely wrong than right
WINDOW_TICKS, HISTORY_TICKS = 60, 10
SLOW_MPS = 2.0  # a stop claimed of an ego that gets this slow is not clearly false
RARE = 0.4  # below 1 kinds that are rarely possible get more of their chances
STRAIGHT_RAD = 0.08  # ego whose heading changes less drives straight on
RECALL_REACH, KIND_REACH, FALSE_ALARMS_REACH, AUC_REACH = 0.95, 0.85, 0.05, 0.95


@dataclass(frozen=True)
class Planted:
    """One moment: its true label, and the same with an error (None where none could be planted)."""

    moment: Moment
    correct: CoCLabel
    wrong: CoCLabel | None
    error: Error | None


@dataclass(frozen=True)
class Verdict:
    """What a check says of one label.

    Attributes:
        risk: the higher, the more likely it is wrong.
        contradicted: whether it is called wrong.
    """

    risk: float
    contradicted: bool


@dataclass(frozen=True)
class Evaluation:
    """How well planted errors were found."""

    recall: float
    by_kind: dict[str, tuple[int, int]]
    false_alarms: float
    auc: float
    untouched: int

    def lines(self) -> list[str]:
        """Return the numbers as text."""
        kinds = [f"  {kind}: {found} of {count}" for kind, (found, count) in sorted(self.by_kind.items())]
        return [
            f"recall of planted errors: {self.recall:.3f} (reach >= {RECALL_REACH}, each kind >= {KIND_REACH})",
            *kinds,
            f"false alarms: {self.false_alarms:.3f} of {self.untouched} correct labels (reach <= {FALSE_ALARMS_REACH})",
            f"risk ranks errors first: AUC {self.auc:.3f} (reach >= {AUC_REACH})",
        ]


def main() -> int:
    """Write both folders and print what is in them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic.planted_errors", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    planted = make(arguments.data, arguments.seed)
    write(planted, arguments.data, arguments.out)
    print(f"{len(planted)} correct labels, {sum(p.wrong is not None for p in planted)} with an error planted")
    for error, count in sorted(Counter(p.error for p in planted if p.error).items()):
        print(f"  {count:5}  {error}")
    planted_verdicts, correct_verdicts = (checked(arguments.out / name) for name in ("planted", "correct"))
    print("\n".join(evaluate(errors_of(arguments.out), planted_verdicts, correct_verdicts).lines()))
    return 0


def checked(run_dir: Path) -> dict[Moment, Verdict]:
    """Check a folder and return what was found of each label."""
    check_run(str(run_dir), num_workers=1)
    rows = load_checks(str(run_dir)).select(["clip_id", "event_start_timestamp", "risk"]).to_pylist()
    return {
        (row["clip_id"], row["event_start_timestamp"]): Verdict(row["risk"], row["risk"] > CALLED_WRONG) for row in rows
    }


def make(data: Path, seed: int) -> list[Planted]:
    """Return correct labels and one error each, of kinds as even as they are possible."""
    rng = random.Random(seed)
    possible: list[tuple[Moment, CoCLabel, dict[Error, CoCLabel]]] = []
    paths: dict[str, np.ndarray] = {}
    for row in truth_table.read(data / "truth.parquet"):
        if row["ambiguous"] or row["lateral_ambiguous"] or row["weak"]:
            continue
        if row["lateral"] == LateralDecision.KEEP_LANE and len(row["lateral_accepted"]) > 1:
            continue  # a move may be named or left out here: neither is an error
        if row["clip_id"] not in paths:
            paths[row["clip_id"]] = _path(data / "clips" / f"{row['clip_id']}.csv")
        path = paths[row["clip_id"]]
        label = correct_label(row, rng, _changes(path, row["t_us"] // TICK_US))
        known = known_of(row, path, rng)
        wrong = {error: made for error in Error if (made := plant(label, error, known)) is not None}
        if not _side_shows(label, path, row["t_us"] // TICK_US):
            wrong.pop(Error.WRONG_SIDE, None)
        possible.append(((row["clip_id"], row["t_us"]), label, wrong))
    rng.shuffle(possible)
    return _balanced(possible)


def _balanced(possible: list[tuple[Moment, CoCLabel, dict[Error, CoCLabel]]]) -> list[Planted]:
    """Give each moment the kind that most of its chances are left of, so that no kind is squeezed out."""
    chances = Counter(error for _, _, wrong in possible for error in wrong)
    done: Counter[Error] = Counter()
    planted = []
    for moment, label, wrong in possible:
        error = min(wrong, key=lambda e: done[e] / chances[e] ** RARE, default=None)
        if error is not None:
            done[error] += 1
        planted.append(Planted(moment, label, wrong[error] if error else None, error))
    return sorted(planted, key=lambda p: p.moment)


def _path(file: Path) -> np.ndarray:
    """Return speed and heading of a clip, (201, 2)."""
    table = pa.csv.read_csv(file)
    columns = {name: table.column(name).to_numpy() for name in ("vx", "vy", "yaw")}
    return np.stack([np.hypot(columns["vx"], columns["vy"]), np.unwrap(columns["yaw"])], axis=1)


def _changes(path: np.ndarray, tick: int) -> float:
    """Return by how much ego's speed changes over the seconds that a decision is told of, in m/s."""
    speed = path[tick : tick + DECISION_TICKS + 1, 0]
    return float(speed[-1] - speed[0])


def _side_shows(label: CoCLabel, path: np.ndarray, tick: int) -> bool:
    """Say whether the clip can show on which side a cause is: a bend beyond its end cannot be told."""
    if any(c.side is not None and c.category is not Category.LANE for c in label.components):
        return True
    ahead = path[tick:, 1]
    return bool(np.abs(ahead - ahead[0]).max() >= BEND_SHOWS_RAD)


def _may_stop(path: np.ndarray, tick: int) -> bool:
    """Say whether a stop may be true: ego comes to stand or near to it, or the clip ends before that can be told."""
    speed = path[tick : tick + STOP_TICKS + 1, 0]
    return bool(speed.min() < (SLOW_MPS if len(path) > tick + STOP_TICKS else UNKNOWN_STOP_MPS))


def known_of(row: dict[str, Any], path: np.ndarray, rng: random.Random) -> Known:
    """Return what is known of a moment, from its truth and ego's path."""
    tick = row["t_us"] // TICK_US
    yaw = path[max(tick - HISTORY_TICKS, 0) : tick + WINDOW_TICKS + 1, 1]
    change = yaw - yaw[0]
    furthest = float(change[np.argmax(np.abs(change))])
    changes = Side(row["changes_lane"]) if row["changes_lane"] else None
    if row["lateral"] in (LateralDecision.CHANGE_LANE, LateralDecision.MERGE, LateralDecision.SPLIT):
        changes = Side(row["direction"])
    bends = abs(furthest) > (0.4 if changes else STRAIGHT_RAD)
    return Known(
        stands=_may_stop(path, tick),
        has_lead=row["has_lead"] or not row["clear_ahead"],
        changes_lane=changes,
        turns=(Side.LEFT if furthest > 0 else Side.RIGHT) if bends else None,
        later=component(row["later"], "c1", rng) if row["later"] and row["later"]["track_id"] else None,
    )


def write(planted: list[Planted], data: Path, out: Path) -> None:
    """Write both experiment folders and the list of what was planted where."""
    _write_folder(out / "correct", data, ((p.moment, p.correct) for p in planted))
    _write_folder(out / "planted", data, ((p.moment, p.wrong) for p in planted if p.wrong is not None))
    rows = [
        {"clip_id": p.moment[0], "event_start_timestamp": p.moment[1], "error": str(p.error)}
        for p in planted
        if p.error is not None
    ]
    pq.write_table(pa.Table.from_pylist(rows), out / "planted.parquet")


def _write_folder(path: Path, data: Path, labels: Iterable[tuple[Moment, CoCLabel]]) -> None:
    folder = ExperimentFolder(str(path))
    settings = {"model_name": "rules", "data.dataset_name": "table", "data.data_dir": str((data / "clips").resolve())}
    with folder.opened() as journal:
        config = load_config("base_config_vlm_rel_ts", [], settings=settings)
        (path / "run_config.json").write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
        rows = [folder.write(_record(moment, label)) for moment, label in labels]
        journal.append(pa.RecordBatch.from_pylist(rows, LABELS_SCHEMA))
        folder.settle(journal)


def _record(moment: Moment, label: CoCLabel) -> Record:
    return Record(
        clip_id=moment[0],
        event_start_frame=moment[1] // TICK_US,
        event_start_timestamp=moment[1],
        final_content=released_content(label),
        label=label,
        provenance=Provenance(agent="truth", model="truth", dataset="table"),
    )


def errors_of(out: Path) -> dict[Moment, Error]:
    """Return which error was planted at each moment."""
    rows = pq.read_table(out / "planted.parquet").to_pylist()
    return {(row["clip_id"], row["event_start_timestamp"]): Error(row["error"]) for row in rows}


def evaluate(
    errors: Mapping[Moment, Error], planted: Mapping[Moment, Verdict], correct: Mapping[Moment, Verdict]
) -> Evaluation:
    """Compare what a check said of planted and of correct labels with what is known of them."""
    missing = errors.keys() - planted.keys()
    if missing or not correct:
        raise ValueError(f"{len(missing)} planted labels have no verdict, {len(correct)} correct ones have: check both")
    by_kind = {
        str(kind): (sum(planted[m].contradicted for m, e in errors.items() if e is kind), count)
        for kind, count in Counter(errors.values()).items()
    }
    return Evaluation(
        recall=sum(found for found, _ in by_kind.values()) / max(len(errors), 1),
        by_kind=by_kind,
        false_alarms=sum(verdict.contradicted for verdict in correct.values()) / len(correct),
        auc=area_under_curve([planted[m].risk for m in errors], [v.risk for v in correct.values()]),
        untouched=len(correct),
    )


def area_under_curve(wrong: list[float], right: list[float]) -> float:
    """Return how often a wrong label has the higher risk of a pair, ties counted half (Mann-Whitney)."""
    ordered = np.sort(np.array(right))
    below = np.searchsorted(ordered, wrong, "left")
    up_to = np.searchsorted(ordered, wrong, "right")
    return float((below + up_to).sum() / 2 / (len(wrong) * len(right)))


if __name__ == "__main__":
    sys.exit(main())
