"""Errors as answers: pages for people, JSON for scripts. What went wrong inside is logged and never sent."""

import logging

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coc_labeling.review.errors import ConflictError, JudgementError, NotAssignedError, PhaseError, ReviewError
from coc_labeling.review.web.context import render
from coc_labeling.review.web.guards import TOKEN

_LOG = logging.getLogger(__name__)
_STATUS: dict[type[ReviewError], int] = {
    ConflictError: 409,
    NotAssignedError: 404,
    PhaseError: 422,  # SeenFutureError is one
    JudgementError: 422,
}
_TITLES = {
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Somebody was faster",
    413: "Too large",
    422: "This does not fit",
    429: "Please wait",
    500: "Not possible now",
}


class Unbroken:
    """Answers what nobody has thought of with 500; its traceback goes to the log, nothing of it to the client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:  # it left before it had said all: nobody waits for an answer, nothing is wrong here
            return
        except Exception:
            if started or scope["type"] != "http":
                raise
            request = Request(scope)
            _LOG.exception("%s %s", request.method, request.url.path)
            await _unexpected(request)(scope, receive, send)


def add_handlers(app: FastAPI) -> None:
    """Register what is answered to each error."""
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(ReviewError, _review_error)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    said = str(error.detail)
    if error.status_code == 404 and not isinstance(error, HTTPException):
        said = "There is no such page."
    if error.status_code == 401 and request.method == "GET" and _is_page(request) and TOKEN not in request.scope:
        return RedirectResponse("/sign-in", 303)
    return _answer(request, error.status_code, said)


def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = {one["loc"][0] for one in error.errors()}
    if "path" in places:  # tasks and batches have numbers
        return _answer(request, 404, "There is no such page.")
    names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
    return _answer(request, 422, f"These fields hold something else than expected: {names}.")


def _review_error(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:  # paths of the server may be in it
        _LOG.error("%s %s: %s", request.method, request.url.path, error)
        said = "The reviews cannot be read or written now. Nothing of this step is stored: tell who runs the server."
        return _answer(request, 500, said)
    return _answer(request, status, str(error))


def _unexpected(request: Request) -> Response:
    said = (
        "Something went wrong inside. Whether this step is stored is not sure: load the page again. The log says more."
    )
    return PlainTextResponse(said, 500) if _is_page(request) else JSONResponse({"error": said}, 500)


def _answer(request: Request, status: int, said: str) -> Response:
    if not _is_page(request):
        return JSONResponse({"error": said}, status)
    if status in (401, 429):
        return render(request, "sign_in.html.jinja", status, person=None, problem=said)
    return render(request, "error.html.jinja", status, title=_TITLES.get(status, "Not possible"), said=said)


def _is_page(request: Request) -> bool:
    """Say whether people look at the answer: not for the API, nor for files."""
    path = request.url.path
    return not path.startswith("/api/") and "." not in path.rpartition("/")[2]
