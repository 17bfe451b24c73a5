"""Signing in, by a link or by typing its token, and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from coc_labeling.review.web.access import SESSION_SEC
from coc_labeling.review.web.context import Here, Someone, person_of, render, session_of, site
from coc_labeling.review.web.guards import TOKEN, address_of, form

router = APIRouter()


class LinkOpenedError(Exception):
    """A link with a token that is right: the answer is the same address without it, and a session."""

    def __init__(self, person: str) -> None:
        super().__init__("A link has been opened.")
        self.person = person


def enter_by_link(request: Request) -> None:
    """Take a token from the query of any page; raises LinkOpenedError, or HTTPException where it is wrong."""
    token = request.scope.get(TOKEN)
    if token is not None and request.method == "GET":
        raise LinkOpenedError(_person(request, token))


def link_opened(request: Request, error: Exception) -> Response:
    """Answer LinkOpenedError."""
    assert isinstance(error, LinkOpenedError)
    return _welcome(request, error.person, address_of(request))


@router.get("/sign-in")
def page(request: Request) -> Response:
    """Show the form, or the queue to who is signed in."""
    if person_of(request) is not None:
        return RedirectResponse("/", 303)
    return render(request, "sign_in.html.jinja", problem=None)


@router.post("/sign-in")
def sign_in(request: Request, fields: Annotated[dict[str, str], Depends(form)]) -> Response:
    """Sign in by a token, or by a whole link that was pasted."""
    token = fields.get("token", "").strip().rpartition("token=")[2]
    return _welcome(request, _person(request, token), "/")


@router.get("/api/proof")
def proof(request: Request, here: Here, _person_who_asks: Someone) -> dict[str, str]:
    """Return what proves that a step comes from our own page, for one that was loaded in an earlier session.

    Pages of other origins can neither read this nor set the header that it goes into.
    """
    return {"csrf": here.access.csrf(session_of(request))}


@router.post("/sign-out")
def sign_out(here: Here) -> Response:
    """Forget the session."""
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(here.access.cookie, path="/", httponly=True, samesite="lax")
    return response


def _person(request: Request, token: str) -> str:
    here = site(request)
    address = request.client.host if request.client else ""
    if here.tries.too_many(address):
        raise HTTPException(429, "Too many tokens that are not right. Wait for a minute, then try again.")
    person = here.access.person_of_token(token[:200], here.store.people())
    if person is None:
        here.tries.failed(address)
        raise HTTPException(401, "This token is not right. Links change when the server starts anew: ask for yours.")
    return person


def _welcome(request: Request, person: str, url: str) -> Response:
    access = site(request).access
    response = RedirectResponse(url, 303)
    response.set_cookie(
        access.cookie,
        access.session(person),
        max_age=SESSION_SEC,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response
