"""What can go wrong before anything is evaluated."""

from coc_labeling.errors import CocLabelingError


class EvaluationError(CocLabelingError):
    """Nothing can be evaluated at all: no such file, no readable line in it, or two files that have no scene in common.

    One bad line is no such error: it is counted and named, and the others go on.
    """
