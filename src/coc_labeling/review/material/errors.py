"""Why something cannot be shown, in words for the reviewer."""

from collections.abc import Iterator
from contextlib import contextmanager

from coc_labeling.report.clips import READING_FAULTS
from coc_labeling.review.errors import ReviewError

EXTRA = "pip install 'coc-toolkit[review]'"


class MaterialError(ReviewError):
    """There is no such picture or video to show; the message says why and what to do."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what a file that is not what it should be makes a reader raise into MaterialError."""
    try:
        yield
    except MaterialError:
        raise
    except ImportError as error:
        raise MaterialError(f"{what}: {error.name} is not installed. Run: {EXTRA}") from error
    except READING_FAULTS as error:
        said = str(error)
        raise MaterialError(said if said.startswith(what) else f"{what}: {said}") from error
