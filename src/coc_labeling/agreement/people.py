"""People as one side of a comparison: the labels of a run as they left them.

Whose word counts is for ``coc_labeling.review.results.outcomes`` to say. Where a label was rejected, or nobody is sure
of it, people have no decision at that moment: it is an abstention of theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from coc_labeling.agreement.decided import Decided, DecidedBuilder
from coc_labeling.errors import CocLabelingError
from coc_labeling.review.database import reviews_path
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.results.outcomes import Outcome, Review, outcome_at, outcomes
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel, abstain
from driving_clips import files


@dataclass
class PeopleSide:
    """All who reviewed a run, or one of them.

    Attributes:
        run_dir: the run.
        name: how the side is called in tables.
        reviewer: who; None for all of them.
        verdicts: how often each was given, known once the reviews are read.
        reviewers: who judged, known then, too.
    """

    run_dir: str
    name: str
    reviewer: str | None = None
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    reviewers: set[str] = field(default_factory=set)

    def about(self) -> dict[str, Any]:
        """Return the run, who judged, and how often which verdict was given."""
        return {
            "name": self.name,
            "run_dir": self.run_dir,
            "reviewers": sorted(self.reviewers),
            "verdicts": {str(verdict): self.verdicts[verdict] for verdict in Verdict},
        }

    def decided(self) -> tuple[Decided, list[str]]:
        """Return all moments that were judged, and notices on those without a decision or with a dispute.

        Raises:
            CocLabelingError: no such folder, no reviews in it, nobody of this name, or nothing has been judged.
        """
        builder, disputed = DecidedBuilder(), 0
        self.verdicts.clear()
        self.reviewers.clear()
        with closing(self._store()) as store:
            self._refuse_unknown(store)
            for outcome, review in self._judged(outcomes(store)):
                builder.add(outcome.clip_id, outcome.t_us, outcome.result_of(review) or _without(review))
                self.verdicts[review.judgement.verdict] += 1
                self.reviewers.update((review.reviewer,) if self.reviewer else outcome.reviewers)
                disputed += outcome.disputed and self.reviewer is None
        decided = builder.build(self.name)
        if not len(decided):
            who = self.reviewer or "anybody"
            raise CocLabelingError(f"{self.run_dir}: no label in it has been judged by {who}. Review some first.")
        return decided, [*self._notices(disputed)]

    def sentences(self, moments: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return the sentences of a few moments (clip id, us) as people left them."""
        with closing(self._store()) as store:
            found = (outcome_at(store, *moment) for moment in moments)
            results = {
                (outcome.clip_id, outcome.t_us): outcome.result_of(review)
                for outcome, review in self._judged(outcome for outcome in found if outcome is not None)
            }
        return {
            moment: label.effect_on_ego_behavior
            for moment, label in results.items()
            if label is not None and label.effect_on_ego_behavior
        }

    def _judged(self, found: Iterable[Outcome]) -> Iterator[tuple[Outcome, Review]]:
        """Yield outcomes with the review that counts here: the final one, or the one reviewer's, if there is one."""
        for outcome in found:
            reviews = (review for review in outcome.reviews if self.reviewer in (None, review.reviewer))
            review = next(reviews, None)
            if review is not None:
                yield outcome, review

    def _store(self) -> ReviewStore:
        if not files.is_dir(self.run_dir):
            raise CocLabelingError(f"{self.run_dir}: no such folder. Expected an experiment folder of Step 3.")
        path = reviews_path(self.run_dir)
        if not files.is_file(path):
            raise CocLabelingError(f"{path}: no such file, so nobody has reviewed this run. Run coc review on it.")
        return ReviewStore.of_run(self.run_dir)

    def _refuse_unknown(self, store: ReviewStore) -> None:
        people = store.people()
        if self.reviewer is not None and self.reviewer not in people:
            raise CocLabelingError(
                f"{self.run_dir}: nobody called {self.reviewer[:80]!r} reviews it. There are: "
                f"{', '.join(people) or 'none'}."
            )

    def _notices(self, disputed: int) -> Iterator[str]:
        rejected, unsure = self.verdicts[Verdict.REJECT], self.verdicts[Verdict.UNSURE]
        if rejected or unsure:
            yield (
                f"{self.name}: {rejected:,} labels were rejected and {unsure:,} left as unsure. People have no "
                "decision there: it counts as abstained, and the agreement is that of the labels they kept."
            )
        if disputed:
            yield f"{self.name}: on {disputed:,} labels reviewers differ and nobody audited. The first review counts."


def _without(review: Review) -> CoCLabel:
    verdict = review.judgement.verdict
    return abstain("rejected" if verdict is Verdict.REJECT else "unsure", f"{review.reviewer} left no label")
