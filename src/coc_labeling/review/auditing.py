"""What an auditor audits: shown once they have judged for themselves."""

from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.judgements import Judgement
from coc_labeling.review.phases import Phase, state_of
from coc_labeling.review.store import ReviewStore


def audited(store: ReviewStore, task: int, auditor: str) -> Judgement | None:
    """Return the judgement that an audit is of, as it holds now, to be set beside the auditor's own.

    None before the auditor's own judgement is made, and while it is undone: an audit is as blind as a second review.
    None as well for tasks that are no audits of theirs, and where what was judged has been undone.
    """
    rows = store.database.rows(
        "SELECT repeats FROM tasks WHERE id = ? AND reviewer = ? AND kind = ? AND phase = ?",
        (task, auditor, Kind.AUDIT, Phase.DONE),
    )
    if not rows:
        return None
    return state_of(event.step for event in store.history(rows[0]["repeats"])).judgement
