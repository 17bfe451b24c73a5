"""Tokens of OAuth: asked for with a client's id and secret, shared by all requests, renewed before they run out."""

import asyncio
import base64
import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2

from coc_labeling.model_clients import failures
from coc_labeling.model_clients.background import PerLoop, Shared
from coc_labeling.model_clients.credentials import AZURE_NAMES, OAuthClient
from coc_labeling.model_clients.errors import ModelError, ModelUnusable
from coc_labeling.model_clients.retrying import Timing

MARGIN_S = 120.0  # a request that waits in line must still find its token valid
LONGEST_WAIT_S = 30.0  # for a token, which takes no thought; models may need minutes
DEFAULT_LIFETIME_S = 600.0  # where the provider does not say


class TokenSource:
    """The token of one client.

    Args:
        client: what is traded for it.
        timing: the clock.
    """

    def __init__(self, client: OAuthClient, timing: Timing) -> None:
        self._client = client
        self._timing = timing
        self._token = ""
        self._renew_at = -math.inf
        self._renewals: PerLoop[Shared[None]] = PerLoop(lambda: Shared(timing.now))

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that must never be seen."""
        return (self._token,) if self._token else ()

    def forget(self, authorization: str) -> None:
        """Have a token renewed that was refused, unless somebody did so already."""
        if self._token and authorization == f"Bearer {self._token}":
            self._renew_at = -math.inf

    async def token(self, http: httpx2.AsyncClient, timeout_sec: float) -> str:
        """Return a token that is valid for a while; of several that ask at once, one renews it.

        Args:
            http: what sends the request.
            timeout_sec: of a request to the model, in s; one for a token takes half a minute at most.

        Raises:
            ModelError: none was to be had; all that waited for the same attempt are told so.
        """
        if not self._timing.now() < self._renew_at:
            await self._renewals.get().result(lambda: self._renew(http, min(timeout_sec, LONGEST_WAIT_S)))
        return self._token

    async def _renew(self, http: httpx2.AsyncClient, timeout_sec: float) -> None:
        outcome = await self._ask(http, timeout_sec)
        if isinstance(outcome, ModelError):
            raise outcome
        self._keep(outcome)

    def _keep(self, answer: dict[str, Any]) -> None:
        try:
            lifetime_s = float(answer.get("expires_in", DEFAULT_LIFETIME_S))
        except (TypeError, ValueError, OverflowError):
            lifetime_s = DEFAULT_LIFETIME_S
        if not math.isfinite(lifetime_s):
            lifetime_s = DEFAULT_LIFETIME_S
        self._token = answer["access_token"]
        # Half of a very short life, or every request would ask for a token of its own.
        self._renew_at = self._timing.now() + max(lifetime_s - MARGIN_S, lifetime_s / 2)

    async def _ask(self, http: httpx2.AsyncClient, timeout_sec: float) -> dict[str, Any] | ModelError:
        url = self._client.token_url
        host = urlsplit(url).hostname or ""
        secret = (self._client.client_id.reveal(), self._client.client_secret.reveal())
        # RFC 6749, 2.3.1: every server takes the client's password this way, form-encoded first.
        basic = base64.b64encode(":".join(quote_plus(part) for part in secret).encode("ascii")).decode("ascii")
        form = {"grant_type": "client_credentials", "scope": self._client.scope}
        try:
            async with asyncio.timeout(timeout_sec):
                response = await http.post(url, data=form, headers={"Authorization": f"Basic {basic}"})
        except (TimeoutError, httpx2.TimeoutException):
            return failures.too_slow(host, timeout_sec)
        except httpx2.TransportError as error:
            return failures.not_reached(host, error, secret)
        return _token_or_error(host, response, (*secret, basic))


def _token_or_error(host: str, response: httpx2.Response, secrets: Iterable[str]) -> dict[str, Any] | ModelError:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = response.text
    if not response.is_success:
        error = failures.refused_by_status(host, response.status_code, response.headers, answer, secrets, AZURE_NAMES)
        if error.retryable:
            return error
        # Whatever is wrong with the client is wrong for every request.
        return ModelUnusable(f"no token: {error}; check {' and '.join(AZURE_NAMES)}", status=error.status, code="oauth")
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        # What came instead is not shown: it may hold the token under another name.
        return failures.bad_response(host, "no access_token", b"", ())
    return answer if isinstance(answer, dict) else {}
