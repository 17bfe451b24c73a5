"""The errors of reading clips: each says what was expected, what was found and what to do."""


class DrivingClipsError(Exception):
    """Base of this package's errors."""


class DatasetError(DrivingClipsError):
    """Nothing can be read at all: unknown dataset, missing or empty folder, unusable arguments."""


class ClipError(DrivingClipsError):
    """One clip gives no result, and only that one.

    ``reason`` is the short key that a run is counted by; the message says what was found.
    """

    outcome = "failed"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:  # both arguments must survive the trip between processes
        return type(self), (self.reason, str(self))


class ClipRejectedError(ClipError):
    """An honest no: the clip was read, and what it holds cannot be labelled."""

    outcome = "rejected"


class ClipFailedError(ClipError):
    """The clip could not be read: corrupt, incomplete or contradictory files."""
