"""What can go wrong in a review; each message says what to do."""

from coc_labeling.errors import CocLabelingError


class ReviewError(CocLabelingError):
    """A review that cannot be stored or read."""


class ConflictError(ReviewError):
    """Somebody has changed the task since it was looked at: nothing has been written."""


class PhaseError(ReviewError):
    """The task is not in the phase that this is done in."""


class SeenFutureError(PhaseError):
    """The reviewer has seen what came after the keyframe: what was known before it cannot be judged any more."""


class NotAssignedError(ReviewError):
    """The task is another reviewer's, or there is none of this number."""


class JudgementError(ReviewError):
    """What was decided does not fit the label or itself."""
