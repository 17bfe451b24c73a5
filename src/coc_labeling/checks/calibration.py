"""From a risk to the probability that a label is wrong: a map fitted to what reviewers found.

The risk sorts labels well, but it is put together from severities that somebody chose, so 0.4 need not mean that 40 of
100 such labels are wrong. The map is logistic in the risk's logit (Platt, Probabilistic outputs for support vector
machines, 1999, with the score on the scale of log odds):

    logit(calibrated) = intercept + slope * logit(risk),  slope > 0

It rises strictly, so the order of labels stays. Isotonic regression would fit any shape, but it needs about a thousand
judgements and overfits with fewer (Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning,
2005), and its steps would make labels equal that are not. A prior around "the risk is right as it is" (intercept 0,
slope 1) keeps few reviews from bending it far. Each judgement counts for as many labels as it stands for; these weights
are scaled to sum to Kish's effective number of judgements, (sum w)^2 / sum w^2, so that the prior keeps its weight.

How good a map is is measured on clips that it was not fitted to: five parts by clip, each predicted from the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coc_labeling.agreement.estimates import wilson
from coc_labeling.errors import CocLabelingError
from driving_clips import files
from driving_clips.datasets.loose import stable_hash

CALIBRATION = "risk_calibration.json"
CALIBRATION_VERSION: Literal[1] = 1
LEAST_JUDGED, LEAST_OF_EACH = 50, 10  # judgements in all; right ones, and wrong ones
FOLDS, BINS = 5, 10
_NEAREST = 1e-4  # that a risk comes to 0 or 1: it is rounded to four digits
_SPREAD_OF_INTERCEPT, _SPREAD_OF_LOG_SLOPE = 1.0, 0.5  # of the prior: odds by a factor of 2.7, slopes by 1.6
_MOST_STEPS, _CLOSE = 100, 1e-10

Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RiskMap(_Model):
    """The map from a risk to the probability that a label is wrong.

    Example:
        >>> RiskMap(intercept=0.0, slope=1.0).probability(0.25)
        0.25
    """

    intercept: Finite
    slope: Annotated[Finite, Field(gt=0)]

    def probability(self, risk: float) -> float:
        """Return the probability, rounded as risks are."""
        return round(float(self.probabilities(np.array([risk]))[0]), 4)

    def probabilities(self, risk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each risk, (N,)."""
        return _sigmoid(self.intercept + self.slope * _logit(risk))


class Source(_Model):
    """The reviews of one run that a map was fitted to.

    Attributes:
        run_dir: the experiment.
        judged, wrong: labels that were decided on, and how many of them are wrong.
        first, last: when the first and the last of the judgements was made, UTC.
        events_sha256: of all events of its file of reviews.
    """

    run_dir: str
    judged: Count
    wrong: Count
    first: str
    last: str
    events_sha256: str


class Bin(_Model):
    """Labels whose predicted probability lies within a tenth.

    Attributes:
        low: where the tenth begins.
        judged: how many judgements.
        labels: for how many labels they stand.
        predicted: the mean prediction; None where there is no judgement.
        wrong: the share that is wrong, weighted.
    """

    low: Probability
    judged: Count
    labels: Finite
    predicted: Probability | None
    wrong: Probability | None


class Reliability(_Model):
    """How well probabilities fit what was found; all weighted by the labels that judgements stand for.

    Attributes:
        brier: the mean squared difference (Brier, Verification of forecasts, 1950); 0 is perfect.
        expected_error: the mean over tenths of |predicted - wrong| (expected calibration error; Naeini et al. 2015).
        bins: the reliability table.
    """

    brier: Probability
    expected_error: Probability
    bins: tuple[Bin, ...]


class CheckRecord(_Model):
    """How often labels that a check contradicts were wrong by reviewers, with Wilson's 95 % interval.

    Counts of judgements as they are, not weighted: they hold for labels like those reviewed.
    """

    contradicted: Count
    wrong: Count
    precision: Probability
    ci95_low: Probability
    ci95_high: Probability


class Calibration(_Model):
    """A map with where it comes from and how good it is: the content of ``risk_calibration.json``.

    Attributes:
        checks_version: of the checks whose risk it maps.
        made: when, UTC.
        map: from risk to probability.
        sources: the reviews.
        judged, wrong: how many judgements, and how many of them say wrong.
        effective: Kish's effective number of judgements.
        before, after: of the risk as it was, and of maps fitted without the clips that they predict.
        checks: what the findings of each check were worth, by name.
    """

    calibration_version: Literal[1] = CALIBRATION_VERSION
    checks_version: int
    code_version: str
    made: str
    map: RiskMap
    sources: tuple[Source, ...]
    judged: Count
    wrong: Count
    effective: Finite
    before: Reliability
    after: Reliability
    checks: dict[str, CheckRecord]

    @property
    def helps(self) -> bool:
        """Whether probabilities of clips not fitted to are nearer to what was found than the risk is."""
        return self.after.brier < self.before.brier


@dataclass(frozen=True)
class JudgedRisks:
    """Labels that reviewers decided on, n of them.

    Attributes:
        clip_ids: of each.
        risk: (n,) as the checks gave it, before any calibration.
        wrong: (n,) what reviewers found.
        weight: (n,) for how many labels each stands.
        contradicted_by: the names of checks that contradict each.
    """

    clip_ids: Sequence[str]
    risk: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    weight: NDArray[np.float64]
    contradicted_by: Sequence[frozenset[str]]

    def __len__(self) -> int:
        return len(self.risk)

    def refuse_few(self) -> None:
        """Raise CocLabelingError where there are too few judgements to fit a map to."""
        wrong = int(self.wrong.sum())
        right = len(self) - wrong
        if len(self) < LEAST_JUDGED or min(wrong, right) < LEAST_OF_EACH:
            raise CocLabelingError(
                f"too few reviews to calibrate with: {len(self)} labels of which reviewers found {wrong} wrong and "
                f"{right} right. Expected {LEAST_JUDGED} or more, with {LEAST_OF_EACH} of each. Review more batches, "
                "or add reviews of other runs with --reviews."
            )


def joined(parts: Sequence[JudgedRisks]) -> JudgedRisks:
    """Return the judgements of several runs as one."""
    return JudgedRisks(
        [clip_id for part in parts for clip_id in part.clip_ids],
        np.concatenate([part.risk for part in parts]),
        np.concatenate([part.wrong for part in parts]),
        np.concatenate([part.weight for part in parts]),
        [names for part in parts for names in part.contradicted_by],
    )


def fit(risk: NDArray[np.float64], wrong: NDArray[np.bool_], weight: NDArray[np.float64]) -> RiskMap:
    """Return the most probable map by judgements and prior, found by Fisher scoring with step halving.

    Args:
        risk: (n,) of labels, 0 to 1.
        wrong: (n,) which of them are wrong.
        weight: (n,) for how many labels each stands, above 0.
    """
    x, y = _logit(risk), wrong.astype(float)
    w = weight * (effective(weight) / weight.sum())
    precision = np.array([_SPREAD_OF_INTERCEPT**-2, _SPREAD_OF_LOG_SLOPE**-2])

    def loss(at: NDArray[np.float64]) -> float:
        eta = at[0] + math.exp(at[1]) * x
        return float(w @ (np.logaddexp(0, eta) - y * eta) + precision @ at**2 / 2)

    at = np.zeros(2)  # intercept, logarithm of the slope
    now = loss(at)
    for _ in range(_MOST_STEPS):
        slope = math.exp(at[1])
        p = _sigmoid(at[0] + slope * x)
        by = np.stack([np.ones_like(x), slope * x])
        gradient = by @ (w * (p - y)) + precision * at
        step = np.linalg.solve((by * (w * p * (1 - p))) @ by.T + np.diag(precision), gradient)
        while (then := loss(at - step)) > now and np.abs(step).max() > _CLOSE:
            step /= 2
        if then > now or np.abs(step).max() <= _CLOSE:
            break
        at, now = at - step, then
    return RiskMap(intercept=round(float(at[0]), 6), slope=round(math.exp(at[1]), 6))


def effective(weight: NDArray[np.float64]) -> float:
    """Return Kish's effective number of judgements."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def predicted_apart(judged: JudgedRisks) -> NDArray[np.float64]:
    """Return the probability (n,) of each label by a map that was fitted without its clip."""
    fold = np.array([stable_hash(clip_id) % FOLDS for clip_id in judged.clip_ids])
    found = np.empty(len(judged))
    for number in np.unique(fold):
        own = fold == number
        others = ~own if not own.all() else own  # all in one part: nothing is left to fit to
        found[own] = fit(judged.risk[others], judged.wrong[others], judged.weight[others]).probabilities(
            judged.risk[own]
        )
    return found


def reliability(predicted: NDArray[np.float64], wrong: NDArray[np.bool_], weight: NDArray[np.float64]) -> Reliability:
    """Return how well probabilities (n,) fit what was found.

    Example:
        >>> sure = reliability(np.array([0.0, 1.0]), np.array([False, True]), np.ones(2))
        >>> sure.brier, sure.expected_error
        (0.0, 0.0)
    """
    tenth = np.minimum((predicted * BINS).astype(int), BINS - 1)
    judged = np.bincount(tenth, minlength=BINS)
    labels, mean, share = (np.bincount(tenth, weight * of, minlength=BINS) for of in (1.0, predicted, wrong))
    there = labels > 0
    mean[there], share[there] = mean[there] / labels[there], share[there] / labels[there]
    bins = tuple(
        Bin(
            low=n / BINS,
            judged=int(judged[n]),
            labels=round(float(labels[n]), 2),
            predicted=_share(mean[n]) if there[n] else None,
            wrong=_share(share[n]) if there[n] else None,
        )
        for n in range(BINS)
    )
    error = float(labels @ np.abs(mean - share) / labels.sum())
    brier = float(weight @ (predicted - wrong) ** 2 / weight.sum())
    return Reliability(brier=_share(brier), expected_error=_share(error), bins=bins)


def check_records(judged: JudgedRisks) -> dict[str, CheckRecord]:
    """Return what the contradictions of each check were worth, by its name."""
    found = {}
    for name in sorted(frozenset().union(*judged.contradicted_by)):
        own = np.array([name in names for names in judged.contradicted_by])
        labels, wrong = int(own.sum()), int((own & judged.wrong).sum())
        low, high = wilson(wrong, labels)
        found[name] = CheckRecord(
            contradicted=labels,
            wrong=wrong,
            precision=_share(wrong / labels),
            ci95_low=_share(low),
            ci95_high=_share(high),
        )
    return found


def calibrated(
    judged: JudgedRisks, sources: Sequence[Source], *, checks_version: int, code_version: str, made: str
) -> Calibration:
    """Fit a map and measure how good it is.

    Raises:
        CocLabelingError: too few judgements.
    """
    judged.refuse_few()
    return Calibration(
        checks_version=checks_version,
        code_version=code_version,
        made=made,
        map=fit(judged.risk, judged.wrong, judged.weight),
        sources=tuple(sources),
        judged=len(judged),
        wrong=int(judged.wrong.sum()),
        effective=round(effective(judged.weight), 2),
        before=reliability(judged.risk, judged.wrong, judged.weight),
        after=reliability(predicted_apart(judged), judged.wrong, judged.weight),
        checks=check_records(judged),
    )


def calibration_path(run_dir: str) -> str:
    """Return the path of a run's calibration."""
    return files.join(run_dir, CALIBRATION)


def write_calibration(run_dir: str, calibration: Calibration) -> None:
    """Write a run's calibration, in place of an earlier one."""
    files.write_atomic(calibration_path(run_dir), calibration.model_dump_json(indent=1) + "\n")


def read_calibration(path: str) -> Calibration:
    """Return a calibration from its file; raises CocLabelingError where it is none, or one of another version."""
    try:
        return Calibration.model_validate_json(files.read_bytes(path))
    except (OSError, ValidationError) as error:
        said = (
            error.errors(include_url=False, include_input=False)[0]["msg"]
            if isinstance(error, ValidationError)
            else error
        )
        raise CocLabelingError(
            f"{path}: expected a calibration of version {CALIBRATION_VERSION}, as coc check --calibrate writes it "
            f"({said})."
        ) from error


def calibration_of(run_dir: str) -> Calibration | None:
    """Return the calibration of a run, None where it has none; raises CocLabelingError where it cannot be read."""
    path = calibration_path(run_dir)
    return read_calibration(path) if files.is_file(path) else None


def _share(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 6)


def _logit(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(risk, _NEAREST, 1 - _NEAREST)
    odds: NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def _sigmoid(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0, -eta))
