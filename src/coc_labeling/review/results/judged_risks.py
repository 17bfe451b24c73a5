"""Labels that people decided on, with the risk and findings of their checks: what a calibration is fitted to."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from coc_labeling.checks.base import Verdict
from coc_labeling.checks.calibration import JudgedRisks, Source
from coc_labeling.checks.results import load_checks
from coc_labeling.checks.risk import Status
from coc_labeling.errors import RecordError
from coc_labeling.judge.selection import Labels, Moment, labels_of
from coc_labeling.prompts import text_hash
from coc_labeling.review.database import REVIEWS, reviews_path
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.results.faults import Finding, found_in
from coc_labeling.review.results.outcomes import outcomes
from coc_labeling.review.results.sampling import Population, population_of
from coc_labeling.review.store import ReviewStore, time_of
from coc_labeling.up_to_date import own_stamp, stamp_of
from driving_clips import files

_COLUMNS = ("clip_id", "event_start_timestamp", "raw_risk", "status", "findings", "file_size", "file_mtime_ns")


def has_reviews(run_dir: str) -> bool:
    """Say whether a run has a file of reviews."""
    return files.is_file(reviews_path(run_dir))


def judged_risks(run_dir: str) -> tuple[JudgedRisks, Source]:
    """Return the labels of a run that people decided on, each with its checks and for how many labels it stands.

    Left out are labels whose checks were made of another content than was reviewed, those by risk that stand for no
    others (``sampling``), and waves of which no random label is judged.

    Raises:
        ReviewError: the run has no reviews, or none of a random label.
        CocLabelingError: it has not been checked.
    """
    if not has_reviews(run_dir):
        raise ReviewError(f"{run_dir}: no {REVIEWS} in it. Review its labels first (coc review {run_dir}).")
    store = ReviewStore.of_run(run_dir)
    try:
        population = population_of(store)
        wrong = {
            (one.clip_id, one.t_us): found is Finding.WRONG
            for one in outcomes(store)
            if (found := found_in(one)) is not Finding.UNSURE
        }
        weight = _weights(population, wrong)
        if not weight:
            raise ReviewError(f"{store.database.path}: no label of the random stratum is judged yet. Review a batch.")
        rows = dict(_checked(run_dir, population, weight))
        judged = _judged(rows, wrong, weight)
        return judged, _source(store, run_dir, judged)
    finally:
        store.close()


def _weights(population: Population, wrong: Mapping[Moment, bool]) -> dict[Moment, float]:
    """Return for how many labels each one that is decided on stands, of those that stand for any."""
    numbers = {moment: population.moments[moment] for moment in wrong}
    decided = np.zeros(len(population), bool)
    decided[list(numbers.values())] = True
    begun = np.unique(population.wave[decided & population.random])
    weight = population.weights(decided & population.stands & np.isin(population.wave, begun))
    return {moment: float(weight[number]) for moment, number in numbers.items() if weight[number]}


def _checked(
    run_dir: str, population: Population, weight: Mapping[Moment, float]
) -> Iterator[tuple[Moment, dict[str, Any]]]:
    """Yield the checks of reviewed labels whose record still is what was checked, and says what was reviewed."""
    checks, labels = load_checks(run_dir).select(_COLUMNS), labels_of(run_dir)
    moments = list(zip(*(checks.column(name).to_pylist() for name in _COLUMNS[:2]), strict=True))
    chosen = [row for row, moment in enumerate(moments) if moment in weight]
    for row in checks.take(pa.array(chosen, pa.int64())).to_pylist():
        moment = row["clip_id"], row["event_start_timestamp"]
        same = own_stamp(row, run_dir) == stamp_of(row)
        if row["status"] == Status.ABSTAINED or not same:
            continue
        if _hash(labels, moment) == population.label_hash[population.moments[moment]]:
            yield moment, row


def _hash(labels: Labels, moment: Moment) -> str | None:
    """Return the hash of a label as the queue makes it; None where there is none any more."""
    number = labels.numbers.get(moment)
    if number is None:
        return None
    try:
        return text_hash(labels.read(number).model_dump_json(exclude_none=True))
    except RecordError:
        return None


def _judged(
    rows: Mapping[Moment, Mapping[str, Any]], wrong: Mapping[Moment, bool], weight: Mapping[Moment, float]
) -> JudgedRisks:
    return JudgedRisks(
        [clip_id for clip_id, _ in rows],
        np.array([row["raw_risk"] for row in rows.values()], float),
        np.array([wrong[moment] for moment in rows], bool),
        np.array([weight[moment] for moment in rows], float),
        [_contradicted_by(row) for row in rows.values()],
    )


def _contradicted_by(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(one["check"] for one in row["findings"] if one["verdict"] == Verdict.CONTRADICTED)


def _source(store: ReviewStore, run_dir: str, judged: JudgedRisks) -> Source:
    digest = hashlib.sha256()
    times = []
    for row in store.database.rows("SELECT task, revision, at_ms, actor, kind, content FROM events ORDER BY id"):
        digest.update(repr(tuple(row)).encode())
        if row["kind"] == "judged":
            times.append(row["at_ms"])
    first, last = (time_of(end).isoformat(timespec="seconds") for end in (min(times), max(times)))
    return Source(
        run_dir=run_dir,
        judged=len(judged),
        wrong=int(judged.wrong.sum()),
        first=first,
        last=last,
        events_sha256=digest.hexdigest(),
    )
