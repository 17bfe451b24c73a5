"""Which clips to show: few, the same every time, as different as the run is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_runs.outcomes import DONE
from coc_labeling.report.runs import Run
from coc_labeling.report.tables import read_clips
from coc_labeling.schema import UNOBSERVED
from meta_action.timeline_table import SPANS_SCHEMA

PER_KIND = 6  # labels of one kind that are looked at for clips
CANDIDATES = 600  # clips of one run that are compared
SEED = 20

Feature = tuple[str, ...]
# How much a feature adds to a clip's worth when it is seen for the first time.
_WORTH = {"run": 3.0, "decision": 3.0, "cause": 3.0, "abstention": 3.0, "action": 1.0, "unobserved": 0.5}


@dataclass(frozen=True)
class Candidate:
    """A clip of a run (its number) with what there is to see in it."""

    run: int
    clip_id: str
    features: frozenset[Feature]


def choose(runs: Sequence[Run], sample: int) -> list[Candidate]:
    """Choose clips: each next one adds most that the others have not shown; every run is shown at least once."""
    left = [candidate for number, run in enumerate(runs) for candidate in _candidates(number, run)]
    unseen = {candidate.run for candidate in left}
    wanted = max(sample, len(unseen)) if sample > 0 else 0
    seen: Counter[Feature] = Counter()
    chosen: list[Candidate] = []
    while left and len(chosen) < wanted:
        due = wanted - len(chosen) <= len(unseen)
        best = max((c for c in left if not due or c.run in unseen), key=lambda c: _worth(c, seen))
        left.remove(best)
        unseen.discard(best.run)
        chosen.append(best)
        seen.update(best.features)
    return chosen


def _worth(candidate: Candidate, seen: Counter[Feature]) -> float:
    return sum(_WORTH[feature[0]] / (1 + seen[feature]) ** 2 for feature in candidate.features)


def _candidates(number: int, run: Run) -> list[Candidate]:
    if run.labelling is not None and run.labelling.labels.table.num_rows:
        return _labelled(number, run.labelling.labels.table)
    return _only_spans(number, run)


def _labelled(number: int, labels: pa.Table) -> list[Candidate]:
    """Return clips that hold a few labels of each kind, with the features of all their labels."""
    rows = _spread(_kinds(labels))
    clip_ids = pc.unique(labels.column("clip_id").take(pa.array(rows))).slice(0, CANDIDATES)
    own = labels.filter(pc.is_in(labels.column("clip_id"), clip_ids))
    features: dict[str, set[Feature]] = {clip_id: {("run", str(number))} for clip_id in clip_ids.to_pylist()}
    columns = ("clip_id", "longitudinal", "lateral", "direction", "abstention_reason")
    causes = (own.column(f"{axis}_causes").to_pylist() for axis in ("longitudinal", "lateral"))
    for clip_id, speed, lane, side, reason, first, second in zip(
        *(own.column(name).to_pylist() for name in columns), *causes, strict=True
    ):
        there = features[clip_id]
        there.update(("decision", value, side or "") for value in (speed, lane) if value)
        there.update(
            ("unobserved",) if cause == UNOBSERVED else ("cause", cause) for cause in [*(first or ()), *(second or ())]
        )
        if reason:
            there.add(("abstention", reason))
    return [Candidate(number, clip_id, frozenset(there)) for clip_id, there in features.items()]


def _kinds(labels: pa.Table) -> NDArray[np.int64]:
    """Return for each label a number of its kind: decisions, direction, causes, reason of abstention."""
    texts = [labels.column(name) for name in ("longitudinal", "lateral", "direction", "abstention_reason")]
    texts += [pc.binary_join(labels.column(f"{axis}_causes"), "+") for axis in ("longitudinal", "lateral")]
    filled = [pc.fill_null(text, "") for text in texts]
    kinds = pc.binary_join_element_wise(*filled, "\t").combine_chunks().dictionary_encode()
    numbers: NDArray[np.int64] = kinds.indices.to_numpy().astype(np.int64)
    return numbers


def _spread(kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows: of each kind the first ones of a fixed shuffle, all first ones before all second ones."""
    shuffled = np.random.default_rng(SEED).permutation(len(kinds))
    order = shuffled[np.argsort(kinds[shuffled], kind="stable")]
    sorted_kinds = kinds[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_kinds[1:] != sorted_kinds[:-1]]))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    keep = rank < PER_KIND
    rows: NDArray[np.int64] = order[keep][np.argsort(rank[keep], kind="stable")]
    return rows


def _only_spans(number: int, run: Run) -> list[Candidate]:
    """Return clips of a run without labels, with the meta-actions that occur in them."""
    step = run.meta_actions
    if step is None:
        return []
    clips = step.clips.table
    done = clips.filter(pc.equal(clips.column("outcome"), DONE)).column("clip_id")
    some = np.random.default_rng(SEED).permutation(len(done))[:CANDIDATES]
    clip_ids = done.take(pa.array(some)).to_pylist()
    features: dict[str, set[Feature]] = {clip_id: {("run", str(number))} for clip_id in clip_ids}
    spans = read_clips(step.spans.paths, SPANS_SCHEMA, clip_ids)
    for clip_id, name in zip(spans.column("clip_id").to_pylist(), spans.column("name").to_pylist(), strict=True):
        features[clip_id].add(("action", str(name)))
    return [Candidate(number, clip_id, frozenset(there)) for clip_id, there in features.items()]


def clip_ids_by_run(chosen: Iterable[Candidate]) -> dict[int, list[str]]:
    """Return the chosen clip ids of each run."""
    grouped: dict[int, list[str]] = {}
    for candidate in chosen:
        grouped.setdefault(candidate.run, []).append(candidate.clip_id)
    return grouped
