"""What every request has to get past, and what every answer carries."""

from urllib.parse import parse_qsl, urlencode

from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coc_labeling.review.web.context import session_of, site

MOST_BYTES = 256 * 1024  # of a request
TOKEN = "coc_review.token"  # noqa: S105 - where a scope holds the one that came in its address
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_FIELDS = 100

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers would send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Headed:
    """Adds the headers of security to every answer, and ``no-store`` where nothing else is said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, headed if scope["type"] == "http" else send)


class Bounded:
    """Stops reading a request beyond 256 kB."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise too_large()
            return message

        await self._app(scope, bounded, send)


def too_large() -> HTTPException:
    """Return the error of a request that is too large."""
    return HTTPException(413, f"This is too much at once: expected up to {MOST_BYTES // 1024} kB.")


async def refuse_forged(request: Request) -> None:
    """Refuse what changes something unless our own page has sent it for who is signed in.

    The origin, where it is sent, is our own, and the token of the session is in the header ``X-CSRF-Token`` or in the
    field ``csrf``. Signing in has no session yet, so there the origin alone counts.

    Raises:
        HTTPException: 403, or 401 where nobody is signed in.
    """
    if request.method in SAFE:
        return
    told = request.headers.get("content-length", "0")
    if told.isascii() and told.isdigit() and int(told[:20]) > MOST_BYTES:
        raise too_large()
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower():
        raise HTTPException(403, "This was sent from another site's page. Nothing has been stored.")
    if request.url.path == "/sign-in":
        return
    access, session = site(request).access, session_of(request)
    if access.person_of_session(session) is None:
        raise HTTPException(401, "You are not signed in, or were signed in too long ago. Open your link again.")
    given = request.headers.get("x-csrf-token") or (await form(request)).get("csrf", "")
    if not access.is_csrf(session, given):
        raise HTTPException(403, "This page belongs to an earlier session. Nothing has been stored: load it again.")


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form, as a dependency; empty where none was sent."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        text = (await request.body()).decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise HTTPException(422, "The form cannot be read. Load the page again.") from error


def take_token(scope: Scope) -> None:
    """Move a token from the address of a request to where no log looks for it, whoever keeps one."""
    if scope["type"] != "http" or b"token" not in scope["query_string"]:
        return
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in query if name == "token"]
    if tokens:
        scope[TOKEN] = tokens[-1]
        scope["query_string"] = urlencode([(name, value) for name, value in query if name != "token"]).encode()


def address_of(request: Request) -> str:
    """Return path and query of a request."""
    path = "/" + request.url.path.lstrip("/")  # two slashes would lead to another host
    return f"{path}?{request.url.query}" if request.url.query else path
