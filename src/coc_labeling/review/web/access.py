"""Who is asking: links with tokens, signed sessions, proofs that a form is ours. No secret is ever written to a file.

Everything is derived from one secret by HMAC-SHA256. Made at random it lives as long as the server, so links and
sessions end with it; from the environment variable ``COC_REVIEW_SECRET`` both outlive a restart.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from coc_labeling.review.errors import ReviewError
from driving_clips import files

SECRET = "COC_REVIEW_SECRET"  # noqa: S105 - the name of the variable
SHORTEST_SECRET = 32  # characters
SESSION_SEC = 7 * 24 * 3600
_SESSION = re.compile(r"([A-Za-z0-9_.@-]{1,64})~([0-9]{1,12})~([A-Za-z0-9_-]{43})")


class Access:
    """Tokens, sessions and proofs of one run's reviews.

    Example:
        >>> access = Access(b"x" * 32, "run")
        >>> access.person_of_token(access.token("ann"), ["ann", "bob"])
        'ann'
        >>> access.person_of_session(access.session("ann"))
        'ann'
    """

    def __init__(self, secret: bytes, run: str, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._run, self._clock = secret, run, clock
        # Cookies are shared by all ports of a host: each run has its own.
        self.cookie = f"coc_review_{hashlib.sha256(run.encode()).hexdigest()[:12]}"

    @classmethod
    def of_run(cls, run_dir: str, environment: Mapping[str, str]) -> Self:
        """Return access by the secret of the environment, or by a new one.

        Raises:
            ReviewError: the secret of the environment is too short.
        """
        secret = environment.get(SECRET)
        if secret is not None and len(secret) < SHORTEST_SECRET:
            raise ReviewError(
                f"{SECRET}: {len(secret)} characters, expected {SHORTEST_SECRET} or more. Make one by "
                '`python -c "import secrets; print(secrets.token_urlsafe(32))"`.'
            )
        return cls(secret.encode() if secret else secrets.token_bytes(32), files.absolute(run_dir))

    def token(self, person: str) -> str:
        """Return what signs a person in."""
        return self._signature("token", person)

    def person_of_token(self, token: str, people: Iterable[str]) -> str | None:
        """Return whose token it is; takes as long whoever it is."""
        found = None
        for person in people:
            if _equal(self.token(person), token):
                found = person
        return found

    def session(self, person: str) -> str:
        """Return the value of a cookie that says who has signed in, for seven days from now."""
        issued = str(int(self._clock()))
        return "~".join((person, issued, self._signature("session", person, issued)))

    def person_of_session(self, session: str) -> str | None:
        """Return who signed in; None where nobody did, or it is too long ago."""
        match = _SESSION.fullmatch(session)
        if match is None:
            return None
        person, issued, signature = match.groups()
        known = _equal(self._signature("session", person, issued), signature)
        return person if known and 0 <= self._clock() - int(issued) + 1 <= SESSION_SEC else None

    def csrf(self, session: str) -> str:
        """Return the proof that a form was made by this server for a session."""
        return self._signature("csrf", session)

    def is_csrf(self, session: str, given: str) -> bool:
        """Say whether a proof belongs to a session."""
        return _equal(self.csrf(session), given)

    def _signature(self, purpose: str, *parts: str) -> str:
        message = "\0".join((purpose, self._run, *parts)).encode()
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Tries:
    """Failed sign-ins: from one address no more than some in a minute."""

    MOST, WITHIN_SEC, ADDRESSES = 10, 60.0, 1000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def too_many(self, address: str) -> bool:
        """Say whether an address has to wait."""
        with self._lock:
            failures = self._failures.get(address, deque())
            while failures and failures[0] <= self._clock() - self.WITHIN_SEC:
                failures.popleft()
            if not failures:
                self._failures.pop(address, None)
            return len(failures) >= self.MOST

    def failed(self, address: str) -> None:
        """Count a failure. Of very many addresses the oldest are forgotten."""
        with self._lock:
            if address not in self._failures and len(self._failures) >= self.ADDRESSES:
                del self._failures[next(iter(self._failures))]
            self._failures.setdefault(address, deque(maxlen=self.MOST)).append(self._clock())


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
