"""What an answer that is none means: whose fault it is, and what to do. Secrets stay out of every message."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from coc_labeling.model_clients.egress import without_credentials
from coc_labeling.model_clients.errors import ModelError, ModelUnreachable, ModelUnusable, RequestRefused
from coc_labeling.model_clients.retrying import retry_after_s

SHOWN_CHARS = 300

_RETRYABLE = frozenset({408, 409, 429})
_UNUSABLE = frozenset({401, 403, 404})
_UNUSABLE_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "invalid_api_key", "model_not_found", "DeploymentNotFound"}
)
CONTENT_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})

# Keys in the forms that providers give them, were one to come back that is not ours word by word.
_KEY_LIKE = re.compile(r"\b(?:sk|nvapi|hf)[-_][A-Za-z0-9_*-]{6,}|\bBearer\s+[^\s\"',]+|\beyJ[A-Za-z0-9_.-]{10,}")
_UNRECOGNIZED_CHARS = 16  # more of such a key is recognized
_SEARCHED_CHARS = 30_000  # of an answer, for its 32 MiB would take seconds
_CUT_ADDRESS = re.compile(r"//[^/\s]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a foreign text fit for a message: one line, short, without control characters and secrets."""
    # Masked whole before anything is cut off: of a secret that is cut in two, the first half is not recognized.
    text = masked(text, secrets)
    # JSON may hold halves of characters, which no terminal takes.
    text = " ".join(_CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8")).split())
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with secrets, and whatever looks like a key, replaced by ``***``; of a long one its beginning."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may begin another
        text = text.replace(secret, "***") if secret else text
    if len(text) <= _SEARCHED_CHARS:
        return without_credentials(_KEY_LIKE.sub("***", text))
    # Where it is cut, an address's password or a few letters of a key may remain unrecognized.
    text = without_credentials(_KEY_LIKE.sub("***", _CUT_ADDRESS.sub("", text[:_SEARCHED_CHARS])))
    return text[:-_UNRECOGNIZED_CHARS]


def refused_by_status(
    host: str, status: int, headers: Mapping[str, str], body: object, secrets: Iterable[str], key_names: Iterable[str]
) -> ModelError:
    """Return the error that an HTTP status stands for.

    Args:
        host: who answered.
        status: the status, no 2xx.
        headers: of the answer.
        body: of the answer, JSON where it was JSON.
        secrets: texts that must not be seen.
        key_names: environment variables to check where the key is refused.
    """
    secrets = tuple(secrets)
    said, code, param = (masked(part, secrets) for part in _read(body))
    kind = _kind(status, code)
    message = f"{host} answered {status}"
    if text := shown(said):
        message += f": {text}"
    if advice := _advice(status, code, param, said, key_names):
        message += f"; {advice}"
    return kind(
        message,
        status=status,
        code=shown(code) or f"http_{status}",
        retryable=kind is ModelUnreachable,
        retry_after_s=retry_after_s(headers) if kind is ModelUnreachable else None,
    )


def _read(body: object) -> tuple[str, str, str]:
    """Return message, code and parameter of an error's body in the forms of OpenAI, Azure, vLLM and FastAPI."""
    if not isinstance(body, dict):
        return _text(body), "", ""
    error: Mapping[str, Any] = body["error"] if isinstance(body.get("error"), dict) else body
    said = error.get("message") or error.get("error_description") or error.get("detail") or error.get("error") or ""
    # vLLM repeats the status as the code; the type says more then.
    codes = [error.get("code"), error.get("type"), error.get("error")]
    code = next((value for value in codes if isinstance(value, str) and value and not value.isdecimal()), "")
    if error.get("type") == "insufficient_quota":
        code = "insufficient_quota"
    return _text(said), code, _text(error.get("param"))


def _text(value: object) -> str:
    try:
        return str(value or "")
    except RecursionError:  # lists in lists in lists
        return ""


def _kind(status: int, code: str) -> type[ModelError]:
    if status in _UNUSABLE or code in _UNUSABLE_CODES or 300 <= status < 400:
        return ModelUnusable
    if status in _RETRYABLE or status >= 500:
        return ModelUnreachable
    return RequestRefused


def _advice(status: int, code: str, param: str, said: str, key_names: Iterable[str]) -> str:
    if code in _UNUSABLE_CODES & {"insufficient_quota", "billing_hard_limit_reached"}:
        return "the account's credit is used up: see the provider's billing page"
    if status in (401, 403):
        names = " and ".join(key_names)
        return f"check {names}" if names else "the server wants a key: set openai_compatible.api_key_env"
    if status == 404:
        return "check the server's address and the model's name"
    if status == 413:
        return "send fewer or smaller pictures"
    if 300 <= status < 400:
        return "redirects are not followed: set the address that it leads to"
    return _advice_on_parameters(param, said.lower()) if status in (400, 422) else ""


def _advice_on_parameters(param: str, said: str) -> str:
    if "max_completion_tokens" in said and "max_tokens" in said:
        return "set openai_compatible.token_parameter=max_completion_tokens"
    if "response_format" in param + said or "json_schema" in said or "grammar" in said:
        return "set openai_compatible.response_format=json_object (or text)"
    if "context length" in said or "maximum context" in said or "too many images" in said:
        return "send fewer or smaller pictures"
    if re.fullmatch(r"[A-Za-z_]+", param) and param not in ("messages", "model"):
        return f"leave it out: openai_compatible.omit_parameters=[{param}]"
    named = re.search(r"(?:unsupported|unrecognized|unknown|unexpected)\D{0,40}?['\"`]([a-z_]+)['\"`]", said)
    return f"leave it out: openai_compatible.omit_parameters=[{named[1]}]" if named else ""


def not_reached(host: str, error: BaseException, secrets: Iterable[str]) -> ModelError:
    """Return the error of a connection that failed or broke."""
    cause = error.__cause__ or error
    reason = shown(f"{type(cause).__name__} {cause}", secrets)
    return ModelUnreachable(f"no answer from {host}: {reason}", code="connection", retryable=True)


def too_slow(host: str, timeout_sec: float) -> ModelError:
    """Return the error of an answer that did not arrive whole in time."""
    return ModelUnreachable(f"{host} gave no whole answer in {timeout_sec:g} s", code="timeout", retryable=True)


def bad_response(host: str, what: str, body: bytes | str, secrets: Iterable[str]) -> ModelError:
    """Return the error of an answer with status 200 that is no answer."""
    begins = shown(body.decode("utf-8", "replace") if isinstance(body, bytes) else body, secrets)
    return ModelUnreachable(
        f"{host} answered with {what}" + (f"; it begins: {begins}" if begins else ""),
        code="bad_response",
        retryable=True,
    )
