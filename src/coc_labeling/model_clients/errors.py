"""The errors of reaching a model. Each says whether one request, every request or only this moment is at fault."""

from coc_labeling.errors import CocLabelingError


class ModelError(CocLabelingError):
    """A model gave no answer; the message names the host, what it said and what to do.

    Attributes:
        status: the HTTP status, or None where no answer came.
        code: a short key to count by, the provider's own or one of ours (timeout, connection, bad_response).
        retryable: whether the same request may succeed later.
        retry_after_s: how long the provider asked to wait, in s, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class RequestRefused(ModelError):  # noqa: N818 - what happened, as users read it
    """The provider will not answer this request; others may pass."""


class ModelUnusable(ModelError):  # noqa: N818
    """Every request would fail in the same way: credentials, model name, address, quota."""


class EgressRefused(ModelUnusable):
    """A request would go to a host that the configuration does not allow."""


class ModelUnreachable(ModelError):  # noqa: N818
    """No usable answer, though the same request may succeed later."""
