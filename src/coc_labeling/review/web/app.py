"""The application: routers, guards and error pages put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import Depends, FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import Receive, Scope, Send

from coc_labeling.review.web import (
    assets,
    error_pages,
    events_page,
    label_page,
    media_routes,
    overview_page,
    queue_page,
    sign_in,
    steps_routes,
)
from coc_labeling.review.web.context import Site
from coc_labeling.review.web.guards import Bounded, Headed, refuse_forged, take_token
from coc_labeling.review.web.sign_in import LinkOpenedError, enter_by_link, link_opened

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ROUTERS = (
    assets.router,
    sign_in.router,
    queue_page.router,
    steps_routes.router,
    label_page.router,
    media_routes.router,
    overview_page.router,
    events_page.router,
)


THREADS = 16  # that answer requests; each has its own connection to the store, whose cache takes up to 64 MB


@asynccontextmanager
async def _few_threads(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


class Application(FastAPI):
    """The application behind a door that takes tokens out of addresses, before anything logs or measures them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        take_token(scope)
        await super().__call__(scope, receive, send)


def create_app(site: Site, hosts: tuple[str, ...] = ()) -> FastAPI:
    """Return the application of a site.

    Args:
        site: what it serves.
        hosts: names in the address bar besides those of the loopback that are answered.
    """
    app = Application(
        openapi_url=None,  # no page that lists the routes
        redirect_slashes=False,
        lifespan=_few_threads,
        dependencies=[Depends(enter_by_link), Depends(refuse_forged)],
    )
    app.state.site = site
    for router in _ROUTERS:
        app.include_router(router)
    error_pages.add_handlers(app)
    app.add_exception_handler(LinkOpenedError, link_opened)
    app.add_middleware(error_pages.Unbroken)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *hosts], www_redirect=False)
    app.add_middleware(Bounded)
    app.add_middleware(Headed)  # the last one added is the first to see a request
    return app
