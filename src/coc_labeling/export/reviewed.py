"""Labels as people left them: those they accepted, and those they edited, as they edited them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.sources import GeneratedLabels, LabelSource, Only, SourcedLabel
from coc_labeling.results import ABSTENTION
from coc_labeling.review.database import REVIEWS
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.results.outcomes import Outcome, outcomes
from coc_labeling.review.results.quality import Quality, quality_of_run
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel
from driving_clips import files

ACCEPTED, EDITED = "accepted", "edited"


class ReviewedLabels(LabelSource):
    """What people left of a run's labels; how ``reviewed`` and ``accepted`` differ is told by ``review.outcomes``."""

    def __init__(self, run_dir: str, only: Only) -> None:
        super().__init__(run_dir)
        self._only = only
        self._generated = GeneratedLabels(run_dir)
        if not files.exists(files.join(run_dir, REVIEWS)):
            raise CocLabelingError(
                f"--only {only}: there are no reviews of {run_dir} to choose by ({REVIEWS} is not there). Use --only "
                f"{Only.ALL}, with --max-risk to leave out labels that the checks doubt."
            )

    def labels(self) -> Iterator[SourcedLabel]:
        """Yield all labels, with what people said of each.

        A label that is another one now than the one that was judged counts as not reviewed.
        """
        with closing(ReviewStore.of_run(self.run_dir)) as store:
            judged = outcomes(store)
            outcome = next(judged, None)
            for label in self._generated.labels():
                moment = (label.row["clip_id"], label.row["event_start_timestamp"])
                while outcome is not None and (outcome.clip_id, outcome.t_us) < moment:
                    outcome = next(judged, None)
                own = outcome if outcome is not None and (outcome.clip_id, outcome.t_us) == moment else None
                yield label if label.problem is not None else self._judged(label.row, own)

    def _judged(self, row: dict[str, Any], outcome: Outcome | None) -> SourcedLabel:
        if row["status"] == ABSTENTION:
            return SourcedLabel(row)
        if outcome is None:
            return SourcedLabel(row, left_out="not reviewed")
        if row["label"] != outcome.label.model_dump_json(exclude_none=True):
            return SourcedLabel(row, left_out="changed since it was reviewed")
        result = outcome.result
        if result is None:
            return SourcedLabel(row, left_out=_why_dropped(outcome))
        if self._only is Only.ACCEPTED and not outcome.accepted:
            return SourcedLabel(row, left_out="reviewers differ")
        people = len(set(outcome.reviewers))
        if outcome.verdict is Verdict.EDIT:
            return SourcedLabel(row | edited_columns(result), EDITED, reviewers=people)
        return SourcedLabel(row, ACCEPTED, reviewers=people)


def _why_dropped(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.REJECT:
        return f"rejected: {str(outcome.reason).replace('_', ' ')}"
    return "reviewers are unsure"


def edited_columns(label: CoCLabel) -> dict[str, Any]:
    """Return the columns of ``labels.parquet`` that an edit of a label changes."""
    speed, lane = label.longitudinal, label.lateral
    return {
        "longitudinal": speed.decision if speed else None,
        "lateral": lane.decision if lane else None,
        "direction": lane.direction if lane else None,
        "longitudinal_causes": _causes(label, speed.cause_ids if speed else ()),
        "lateral_causes": _causes(label, lane.cause_ids if lane else ()),
        "sentence": label.effect_on_ego_behavior,
        "trace": label.trace,
        "label": label.model_dump_json(exclude_none=True),
    }


def _causes(label: CoCLabel, cause_ids: tuple[str, ...]) -> list[str]:
    components = {component.id: component for component in label.components}
    named = [(cause, components.get(cause)) for cause in cause_ids]
    return [
        cause if own is None else f"{own.category}:{own.relation}" if own.relation else str(own.category)
        for cause, own in named
    ]


def verdicts_of(run_dir: str) -> Counter[str]:
    """Return how many labels of a run have which final verdict; empty where nobody reviewed any."""
    if not files.exists(files.join(run_dir, REVIEWS)):
        return Counter()
    with closing(ReviewStore.of_run(run_dir)) as store:
        return Counter(str(outcome.verdict) for outcome in outcomes(store))


def quality_of(run_dir: str) -> Quality | None:
    """Return what reviews say of the labels of a run; None where they do not suffice to say anything."""
    if not files.exists(files.join(run_dir, REVIEWS)):
        return None
    try:
        return quality_of_run(run_dir)
    except ReviewError:  # no label that was drawn at random has been judged yet
        return None


def open_source(run_dir: str, only: Only) -> LabelSource:
    """Return where labels come from; raises CocLabelingError where there are no reviews to tell."""
    return GeneratedLabels(run_dir) if only is Only.ALL else ReviewedLabels(run_dir, only)
