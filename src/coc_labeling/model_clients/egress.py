"""Where requests may go, and what left: pictures of streets are personal data."""

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from coc_labeling.model_clients.errors import EgressRefused, ModelUnusable

# Hosts of providers: a key and pictures that go there in plain text were a slip of the pen.
HTTPS_ONLY = frozenset({"api.openai.com", "inference-api.nvidia.com", "prod.api.nvidia.com"})


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its very name; nothing is looked up, for names can be pointed anywhere.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost.example.com")
        (True, False)
    """
    host = _plain(host)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(url: str, setting: str) -> SplitResult:
    """Split the address of a server.

    Args:
        url: the address.
        setting: what the user set, for the message.

    Raises:
        ModelUnusable: no http(s) address, one with a user name, a password or a query in it, or a provider's in plain
            text.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ModelUnusable(f"{setting} is {without_credentials(url)!r}; expected http(s)://host[:port]/path")
    if "@" in parts.netloc:
        raise ModelUnusable(
            f"{setting} carries a user name or password ({without_credentials(url)}); "
            "take it out: keys belong in environment variables"
        )
    if parts.query or parts.fragment:
        raise ModelUnusable(f"{setting} has a query ({parts.scheme}://{parts.netloc}{parts.path}?...); take it out")
    if is_bare(parts.scheme, parts.hostname or ""):
        raise ModelUnusable(f"{setting} leads to {parts.hostname} in plain text; write https://")
    return parts


def is_bare(scheme: str, host: str) -> bool:
    """Say whether an address leads to a hosted provider without encryption."""
    return scheme != "https" and _plain(host) in HTTPS_ONLY


def without_credentials(url: str) -> str:
    """Return a text with the ``user:password@`` of its addresses masked."""
    return re.sub(r"//[^/\s]*@", "//***@", url)


def check_host(url: str, allow_hosts: Iterable[str], setting: str) -> str:
    """Return the host of an address that requests may go to.

    Args:
        url: the address.
        allow_hosts: names of hosts, or ``host:port`` for one port of a host only.
        setting: what the user set, for the message.

    Raises:
        EgressRefused: neither this machine nor an allowed host.
        ModelUnusable: no address.
    """
    parts = split_url(url, setting)
    host = _plain(parts.hostname or "")
    if not allowed(host, parts.port or _DEFAULT_PORTS[parts.scheme], allow_hosts):
        raise EgressRefused(
            f"{setting} leads to {host}, and pictures may leave this machine only for hosts that you name: "
            f"add egress.allow_hosts=[{host}]",
            code="egress",
        )
    return host


def allowed(host: str, port: int, allow_hosts: Iterable[str]) -> bool:
    """Say whether a request may go to a host and port: this machine, or one of ``allow_hosts``."""
    host = _plain(host)
    names: Collection[str] = {_plain(name) for name in allow_hosts}
    return is_loopback(host) or host in names or f"{host}:{port}" in names


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _plain(host: str) -> str:
    """Return one spelling of a host: lower case, no dot of the root, no brackets around an IPv6 address alone."""
    host = host.strip().lower().rstrip(".")
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


@dataclass
class _Sent:
    requests: int = 0
    images: int = 0
    bytes: int = 0


class EgressLog:
    """Counts what was sent to each host; an attempt that broke counts too, for the other side may have read it."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Sent] = {}

    def add(self, host: str, *, requests: int = 0, images: int = 0, n_bytes: int = 0) -> None:
        """Count requests, pictures and bytes of request bodies."""
        sent = self._hosts.setdefault(_plain(host), _Sent())
        sent.requests += requests
        sent.images += images
        sent.bytes += n_bytes

    def summary(self) -> dict[str, dict[str, int]]:
        """Return requests, images and bytes by host, as ``run_summary.json`` has them."""
        return {host: dict(vars(sent)) for host, sent in sorted(self._hosts.items())}
