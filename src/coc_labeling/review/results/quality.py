"""How right the labels are that nobody has reviewed, from those that were reviewed: shares with 95 % intervals.

What was reviewed by risk is worse than the rest, so it does not stand for it. Each label of the sample stands for as
many as its stratum has per label reviewed (``sampling``), and what is known of reviewed labels is then taken off: what
is left is an estimate of the others, whose interval is that of the whole, moved along. No label is counted twice, and a
queue that has been reviewed as a whole leaves nothing to estimate.

Labels on which reviewers are unsure count as not reviewed: the estimates take them to be like the others of their
stratum. Each share is also given as if all of them were right, and as if all were wrong.

A stratum of which no label of a decision was looked at says nothing of that decision there. Then the strata of a wave
are taken as one, and its random labels alone as the sample: they are a simple random sample of the wave, whatever the
risk, and of the decision in it. So the interval is fair, if wide. Its value is not: this happens where what was drawn
is as risky as what was looked at anyway, and the rest is better. It is said of each share whether it was found so.

Omissions: a label lacks a component that a reviewer lists who has seen the history alone. Only tasks that begin with a
blank list measure that, a share drawn by hash: who is shown a list adds less to it. What they add is given apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import Channel
from coc_labeling.agreement.estimates import Estimate, collapsed, proportion
from coc_labeling.review.database import REVIEWS, reviews_path
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.phases import HistoryDone
from coc_labeling.review.results.faults import Finding, found_in, lacks
from coc_labeling.review.results.outcomes import outcomes
from coc_labeling.review.results.sampling import Population, population_of
from coc_labeling.review.steps import as_step
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel
from driving_clips import files

_FINDINGS = tuple(Finding)
_RIGHT, _REWORDED, _UNSURE = (_FINDINGS.index(one) for one in (Finding.RIGHT, Finding.REWORDED, Finding.UNSURE))
_NOBODY = -1


@dataclass(frozen=True)
class Left:
    """A share of the labels that nobody has decided on, with its 95 % interval; None where there is none.

    Attributes:
        labels: how many they are.
        value, low, high: the share.
        reason: why there is none; empty where there is one.
        collapsed: it was found with the strata put together: believe the interval, not the value.
    """

    labels: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    collapsed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        ends = (("value", self.value), ("ci95_low", self.low), ("ci95_high", self.high))
        rounded = {name: None if end is None else round(end, 6) for name, end in ends}
        return {
            "labels": self.labels,
            **rounded,
            "reason": self.reason or None,
            "strata_collapsed": self.collapsed,
        }


@dataclass(frozen=True)
class Share:
    """A share of labels.

    Attributes:
        unreviewed: of those that nobody has decided on.
        all: of all, as they were generated.
    """

    unreviewed: Left
    all: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {"unreviewed": self.unreviewed.as_dict(), "all": self.all.as_dict()}


@dataclass(frozen=True)
class Measured:
    """What was found of some labels, such as those of one decision.

    Attributes:
        labels: how many there are.
        decided, unsure: how many were reviewed, with and without a result.
        random: of those decided, how many are of the random stratum.
        right: the share that is right, whatever its words.
        verbatim: the share that is right as it stands.
        right_if_unsure_wrong, right_if_unsure_right: the share that is right, with what nobody is sure of counted so.
        omitted: the share that lacks a component, by blank lists; ``omitted.all.sampled`` is how many there were.
    """

    labels: int
    decided: int
    unsure: int
    random: int
    right: Share
    verbatim: Share
    right_if_unsure_wrong: Share
    right_if_unsure_right: Share
    omitted: Share

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        counts = {name: getattr(self, name) for name in ("labels", "decided", "unsure", "random")}
        shares = ("right", "verbatim", "right_if_unsure_wrong", "right_if_unsure_right", "omitted")
        return counts | {name: getattr(self, name).as_dict() for name in shares}


@dataclass(frozen=True)
class Quality:
    """What the reviews of a run say of its labels.

    Attributes:
        whole: of all labels, each taken as a whole.
        by_decision: of the labels that decide so in a channel, "none" included: only this decision is looked at.
        findings: how many labels were found what.
        strata: wave, extent, labels, reviewed at random and by risk, of each stratum.
        shown_lists, added_to_shown: labels reviewed with a list shown; those to which a component was added.
        no_history: labels reviewed without a first phase.
        begun_random: random tasks of batches in which some task is judged, that are not judged themselves.
        seeds: of the waves.
        notices: what the user should know.
    """

    whole: Measured
    by_decision: Mapping[Channel, Mapping[str, Measured]]
    findings: Mapping[Finding, int]
    strata: tuple[dict[str, Any], ...]
    shown_lists: int
    added_to_shown: int
    no_history: int
    begun_random: int
    seeds: Mapping[int, int]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """What reviews say of each label of a population, (N,) each: 1 and 0, or places in ``Finding``; -1 is unknown."""

    whole: NDArray[np.int8]
    channels: dict[Channel, NDArray[np.int8]]
    omitted: NDArray[np.int8]  # by a blank list
    added: NDArray[np.int8]  # to a list that was shown


def quality_of_run(run_dir: str) -> Quality:
    """Return the quality of a run's labels by their reviews.

    Raises:
        ReviewError: there are no reviews, or none of the random stratum.
    """
    if not files.is_file(reviews_path(run_dir)):
        raise ReviewError(f"{run_dir}: no {REVIEWS} in it. Review at least one batch first (coc review {run_dir}).")
    store = ReviewStore.of_run(run_dir)
    try:
        return quality(store)
    finally:
        store.close()


def quality(store: ReviewStore) -> Quality:
    """Return the quality of labels by their reviews.

    Raises:
        ReviewError: no label of the random stratum has been decided on.
    """
    population = population_of(store)
    seen = _look(store, population)
    decided = (seen.whole != _NOBODY) & (seen.whole != _UNSURE)
    begun = np.unique(population.wave[decided & population.random])
    if not len(begun):
        raise ReviewError(
            f"{store.database.path}: no label of the random stratum is judged yet, so nothing can be said of labels "
            "that nobody reviewed. Review at least one batch to its end."
        )
    inside = np.isin(population.wave, begun)
    reviewed = inside & (seen.whole != _NOBODY)
    shown = reviewed & (seen.added >= 0)
    seeds = store.database.rows("SELECT id, json_extract(settings, '$.seed') AS seed FROM waves ORDER BY id")
    return Quality(
        _measure(population, seen.whole, seen.omitted, inside),
        _by_decision(population, seen, inside),
        dict(zip(_FINDINGS, np.bincount(seen.whole[reviewed], minlength=len(_FINDINGS)).tolist(), strict=True)),
        _strata(population, seen, inside),
        int(shown.sum()),
        int(np.sum(seen.added[shown])),
        int(np.sum(reviewed & (seen.added < 0) & (seen.omitted < 0))),
        store.database.rows(_BEGUN)[0]["tasks"],
        {row["id"]: row["seed"] for row in seeds},
        _notices(population, inside),
    )


def _by_decision(population: Population, seen: _Seen, inside: NDArray[np.bool_]) -> dict[Channel, dict[str, Measured]]:
    return {
        channel: {
            str(name): _measure(population, seen.channels[channel], seen.omitted, inside & (said == name))
            for name in np.unique(said[inside])
        }
        for channel, said in population.decisions.items()
    }


# Whether those left in a batch are harder than the others nobody knows: the order within a batch says nothing.
_BEGUN = """
    SELECT count(*) AS tasks FROM tasks t
    WHERE kind = 'first' AND stratum = 'random' AND phase <> 'done'
        AND EXISTS (SELECT 1 FROM tasks other WHERE other.batch = t.batch AND other.phase = 'done')
"""
_HISTORIES = """
    SELECT l.clip_id, l.t_us, l.label, t.blank, e.content
    FROM tasks t JOIN labels l ON l.id = t.label JOIN events e ON e.task = t.id AND e.kind = 'history_done'
    WHERE t.phase = 'done' AND l.origin = 'generated' ORDER BY t.id DESC
"""


def _look(store: ReviewStore, population: Population) -> _Seen:
    """Read what was said; of several first phases of a label, with and without a blank list, the first one counts."""
    whole, omitted, added = (np.full(len(population), _NOBODY, np.int8) for _ in range(3))
    channels = {channel: whole.copy() for channel in Channel}
    labels: dict[int, CoCLabel] = {}
    for outcome in outcomes(store):
        place = population.moments[outcome.clip_id, outcome.t_us]
        labels[place] = outcome.label
        whole[place] = _FINDINGS.index(found_in(outcome))
        for channel, found in channels.items():
            found[place] = _FINDINGS.index(found_in(outcome, channel))
    for row in store.database.rows(_HISTORIES):
        number = population.moments.get((row["clip_id"], row["t_us"]))
        label = CoCLabel.model_validate_json(row["label"])
        if number is None or labels.get(number) != label:
            continue
        step = as_step("history_done", row["content"])
        assert isinstance(step, HistoryDone)
        if row["blank"]:
            omitted[number] = lacks(label, step.answer.added)
        else:
            added[number] = bool(step.answer.added)
    return _Seen(whole, channels, omitted, added)


def _measure(
    population: Population, found: NDArray[np.int8], omitted: NDArray[np.int8], inside: NDArray[np.bool_]
) -> Measured:
    """Measure the labels ``inside``; ``found`` are places in ``Finding``."""
    right = (found == _RIGHT) | (found == _REWORDED)
    decided, unsure = (found != _NOBODY) & (found != _UNSURE), found == _UNSURE
    return Measured(
        int(inside.sum()),
        int((inside & decided).sum()),
        int((inside & unsure).sum()),
        int((inside & decided & population.random).sum()),
        _share(population, right, decided, inside),
        _share(population, found == _RIGHT, decided, inside),
        _share(population, right, decided | unsure, inside),
        _share(population, right | unsure, decided | unsure, inside),
        _omitted(population, omitted, decided | unsure, inside),
    )


def _share(
    population: Population, hit: NDArray[np.bool_], known: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> Share:
    """Estimate a share of the labels ``inside``, of which ``known`` are known."""
    estimate = _estimate(population, hit, known, inside)
    looked, hits = int((inside & known).sum()), int((inside & known & hit).sum())
    return Share(left_over(estimate, int(inside.sum()), looked, hits), estimate)


def _omitted(
    population: Population, omitted: NDArray[np.int8], reviewed: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> Share:
    """Estimate the share that lacks a component: a blank list is drawn by hash, so it stands for all of its stratum."""
    sample = inside & reviewed & population.stands & (omitted >= 0)
    lacking = omitted == 1
    with_sample = sample | (inside & ~reviewed)
    estimate = _estimate(population, lacking, sample, with_sample)
    left = left_over(estimate, int(with_sample.sum()), int(sample.sum()), int((sample & lacking).sum()))
    return Share(left, _estimate(population, lacking, sample, inside))


def _estimate(
    population: Population, hit: NDArray[np.bool_], known: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> Estimate:
    """Estimate a share of the labels ``inside``; of whole waves, by their random labels, where a stratum shows none."""
    sample = inside & known & population.stands
    found = proportion(hit[sample], population.stratum[sample], population.sizes(inside).tolist())
    drawn = inside & known & population.random
    if found.value is not None or not drawn.any():
        return found
    waves, wave = np.unique(population.wave, return_inverse=True)
    sizes = np.bincount(wave[inside], minlength=len(waves))
    return collapsed(hit[drawn], wave[drawn], sizes.tolist())


def left_over(estimate: Estimate, labels: int, looked: int, hits: int) -> Left:
    """Return the share of what is left of labels, once those looked at are taken off.

    The interval holds the truth of the labels left exactly where the estimate's holds that of all.

    Example:
        >>> half = Estimate(0.5, 0.4, 0.6, 50, 100, 500.0, 1000.0)
        >>> left_over(half, 1000, looked=200, hits=20).value
        0.6
    """
    left = labels - looked
    if not left:
        return Left(0, reason="all of them have been reviewed")
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Left(left, reason=estimate.reason)
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (min(max((end * labels - hits) / left, 0.0), 1.0) for end in ends)
    return Left(left, value, low, high, collapsed=estimate.collapsed)


def _strata(population: Population, seen: _Seen, inside: NDArray[np.bool_]) -> tuple[dict[str, Any], ...]:
    reviewed = seen.whole != _NOBODY
    decided = reviewed & (seen.whole != _UNSURE)
    found = []
    for number, part in enumerate(population.parts):
        own = inside & (population.stratum == number)
        sample = int((own & decided & population.stands).sum())
        found.append(
            {
                "stratum": number,
                "wave": part.wave,
                "by_risk_reviewed": str(part.extent),
                "in_estimates": bool(own.any()),
                "labels": int((population.stratum == number).sum()),
                "reviewed_at_random": int((own & reviewed & population.random).sum()),
                "reviewed_by_risk": int((own & reviewed & ~population.random).sum()),
                "sample": sample,
                "weight": round(int(own.sum()) / sample, 6) if sample else None,
            }
        )
    return tuple(found)


def _notices(population: Population, inside: NDArray[np.bool_]) -> tuple[str, ...]:
    notices = []
    for wave in np.unique(population.wave[~inside]):
        labels = int((population.wave == wave).sum())
        notices.append(f"wave {wave}: none of its random labels is judged yet, its {labels:,} labels are left out")
    if population.waiting:
        notices.append(f"{population.waiting:,} labels are in no batch yet and left out")
    if population.superseded:
        notices.append(f"{population.superseded:,} labels have changed since they came into the queue and are left out")
    for wave in population.reordered:
        notices.append(
            f"wave {wave}: risks have changed since its queue was made, so only its random labels stand for others"
        )
    return tuple(notices)
