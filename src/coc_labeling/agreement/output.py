"""A comparison as files: JSON with all that was measured, CSV with a row per pair."""

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from coc_labeling.agreement.comparing import Comparison
from coc_labeling.agreement.decided import DECISIONS, DIRECTIONS, Channel, Decided, State
from coc_labeling.agreement.pairing import Rows
from driving_clips import files

AGREEMENT_VERSION = 1
_PAIRS_AT_ONCE = 50_000


def as_dict(found: Comparison) -> dict[str, Any]:
    """Return all that was measured, fit for JSON."""
    pairing, options = found.pairing, found.options
    return {
        "agreement_version": AGREEMENT_VERSION,
        "code_version": version("coc-toolkit"),
        "a": found.side_a.about() | _counts(found.a, pairing.unpaired_a, pairing.clips_a),
        "b": found.side_b.about() | _counts(found.b, pairing.unpaired_b, pairing.clips_b),
        "pairing": {
            "tolerance_ticks": options.tolerance_ticks,
            "pairs": len(pairing),
            "compared": len(found.compared),
            "pairs_by_state": [
                {"a": State(a).name.lower(), "b": State(b).name.lower(), "pairs": int(count)}
                for (a, b), count in np.ndenumerate(pairing.states)
                if count
            ],
            "mean_distance_us": float(np.abs(pairing.apart_us).mean()),
        },
        "bootstrap": {
            "kind": "percentile, clips with replacement",
            "resamples": options.resamples,
            "seed": options.seed,
        },
        "agreement": {name: one.as_dict() for name, one in found.agreements.items()},
        "causes": {
            str(channel): {pairs: {by: one.as_dict() for by, one in kinds.items()} for pairs, kinds in own.items()}
            for channel, own in found.causes.items()
        },
        "examples": [example.as_dict() for example in found.examples],
        "notices": list(found.notices),
    }


def _counts(side: Decided, unpaired: dict[State, int], clips: int) -> dict[str, Any]:
    states = np.bincount(side.state, minlength=len(State))
    return {
        "moments": len(side),
        "clips": len(side.clips),
        "by_state": {state.name.lower(): int(states[state]) for state in State},
        "unpaired": sum(unpaired.values()),
        "unpaired_by_state": {state.name.lower(): count for state, count in unpaired.items()},
        "clips_of_this_side_alone": clips,
    }


def write_json(found: Comparison, path: str) -> None:
    """Write all that was measured."""
    files.make_parents(path)
    files.write_atomic(path, json.dumps(as_dict(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_pairs(found: Comparison, path: str) -> None:
    """Write a CSV with a row per pair, also of those without decisions; causes are joined by blanks."""
    files.make_parents(path)
    with files.atomic_path(path) as temporary, csv.CSVWriter(temporary, _rows(found, 0, 0).schema) as writer:
        for first in range(0, len(found.pairing), _PAIRS_AT_ONCE):
            writer.write_table(_rows(found, first, first + _PAIRS_AT_ONCE))


def _rows(found: Comparison, first: int, last: int) -> pa.Table:
    rows_a, rows_b = found.pairing.a[first:last], found.pairing.b[first:last]
    clips = [found.a.clips[number] for number in found.a.clip[rows_a]]
    columns: dict[str, pa.Array] = {"clip_id": pa.array(clips, pa.string())}
    for name, side, rows in (("a", found.a, rows_a), ("b", found.b, rows_b)):
        columns |= {f"{key}_{name}": column for key, column in _of_side(side, rows).items()}
    return pa.table(columns)


def _of_side(side: Decided, rows: Rows) -> dict[str, pa.Array]:
    states = tuple(state.name.lower() for state in State)
    columns = {
        "event_start_timestamp": pa.array(side.t_us[rows], pa.int64()),
        "state": _names(states, side.state[rows]),
        **{str(channel): _names(DECISIONS[channel], side.decision[channel][rows]) for channel in Channel},
        "direction": _names(DIRECTIONS, side.direction[rows]),
    }
    for channel in Channel:
        decided = side.decision[channel][rows] > 0
        causes = [
            " ".join(side.causes[channel].names(row)) if has else "" for row, has in zip(rows, decided, strict=True)
        ]
        columns[f"{channel}_causes"] = pa.array(causes, pa.string())
    return columns


def _names(names: tuple[str, ...], numbers: NDArray[np.integer]) -> pa.Array:
    return pa.array([str(name) for name in names], pa.string()).take(pa.array(numbers))
