"""Keys and addresses: which of the user's credentials apply, and where they lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from coc_labeling.model_clients.egress import split_url
from coc_labeling.model_clients.errors import ModelUnusable


class Secret:
    """A text that shows itself only when asked to."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text; for headers only."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True)
class ProviderEndpoints:
    """Where the three hosted providers are."""

    oauth_url: str = "https://prod.api.nvidia.com/oauth/api/v1/ssa/default/token"
    oauth_scope: str = "azureopenai-readwrite"
    azure_base_url: str = "https://prod.api.nvidia.com/llm/v1/azure/openai"
    azure_api_version: str = "2025-01-01-preview"
    nvidia_base_url: str = "https://inference-api.nvidia.com/v1"
    openai_base_url: str = "https://api.openai.com/v1"


# Requests may go here without egress.allow_hosts: choosing gpt5 and one of the credential sets names the provider.
PROVIDER_HOSTS = {
    "nvidia_azure": "prod.api.nvidia.com",
    "nvidia": "inference-api.nvidia.com",
    "openai": "api.openai.com",
}

# NVIDIA's names of the models that are not simply openai/openai/<OpenAI's name>.
NVIDIA_MODEL_IDS = {"gpt-5": "us/azure/openai/gpt-5"}


@dataclass(frozen=True)
class OAuthClient:
    """Credentials that are traded for a token before they are of use."""

    token_url: str
    scope: str
    client_id: Secret
    client_secret: Secret


@dataclass(frozen=True)
class Access:
    """All that reaching one server takes.

    Attributes:
        provider: a word for people.
        base_url: the address that ``/chat/completions`` is appended to.
        setting: what the user set to choose that address, for messages.
        key: what the server lets in by, or None.
        key_names: environment variables that the key came from, for messages.
        headers: headers of this server beyond the usual ones.
        query: parameters of every request's address.
    """

    provider: str
    base_url: str
    setting: str
    key: Secret | OAuthClient | None = None
    key_names: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def urls(self) -> tuple[str, ...]:
        """Return every address that requests go to."""
        return (self.base_url, self.key.token_url) if isinstance(self.key, OAuthClient) else (self.base_url,)

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that must never be seen."""
        if isinstance(self.key, OAuthClient):
            return (self.key.client_secret.reveal(), self.key.client_id.reveal())
        return () if self.key is None else (self.key.reveal(),)


AZURE_NAMES = ("NVHOST_OAI_CLIENT_ID", "NVHOST_OAI_CLIENT_SECRET")


def hosted_access(
    model_id: str, environ: Mapping[str, str], endpoints: ProviderEndpoints | None = None
) -> tuple[Access, str]:
    """Return how a hosted model is reached, and the provider's name of it.

    The first complete set of credentials wins: NVIDIA-hosted Azure OpenAI, NVIDIA inference, OpenAI.

    Args:
        model_id: OpenAI's name of the model.
        environ: the environment.
        endpoints: where the providers are, if not where they always are.

    Raises:
        ModelUnusable: no set is complete; the message says what is missing.
    """
    endpoints = endpoints or ProviderEndpoints()
    if all(_has(environ, name) for name in AZURE_NAMES):
        return _azure(model_id, environ, endpoints), model_id
    if _has(environ, "NVIDIA_API_KEY"):
        known_as = NVIDIA_MODEL_IDS.get(model_id, f"openai/openai/{model_id}")
        return _nvidia(environ, endpoints), environ.get("NV_INFERENCE_MODEL") or known_as
    if _has(environ, "OPENAI_API_KEY"):
        return _openai(environ, endpoints), model_id
    half = [name for name in AZURE_NAMES if not _has(environ, name)]
    missing = f" ({half[0]} is missing)" if len(half) == 1 else ""
    raise ModelUnusable(
        f"no credentials for {model_id}; set one of: {' and '.join(AZURE_NAMES)}{missing}; "
        "NVIDIA_API_KEY; OPENAI_API_KEY",
        code="no_credentials",
    )


def _azure(model_id: str, environ: Mapping[str, str], endpoints: ProviderEndpoints) -> Access:
    client_id, client_secret = (key_from(environ, name) for name in AZURE_NAMES)
    return Access(
        provider="nvidia_azure",
        # Azure names the model in the address; the body's "model" is of no account there.
        base_url=f"{endpoints.azure_base_url}/deployments/{model_id}",
        setting="NVHOST_OAI_CLIENT_ID",
        key=OAuthClient(endpoints.oauth_url, endpoints.oauth_scope, client_id, client_secret),
        key_names=AZURE_NAMES,
        query={"api-version": endpoints.azure_api_version},
    )


def _nvidia(environ: Mapping[str, str], endpoints: ProviderEndpoints) -> Access:
    return Access(
        provider="nvidia",
        base_url=with_version(environ.get("NV_INFERENCE_URL") or endpoints.nvidia_base_url, "NV_INFERENCE_URL"),
        setting="NV_INFERENCE_URL",
        key=key_from(environ, "NVIDIA_API_KEY"),
        key_names=("NVIDIA_API_KEY",),
    )


def _openai(environ: Mapping[str, str], endpoints: ProviderEndpoints) -> Access:
    named = {"OpenAI-Organization": environ.get("OPENAI_ORG_ID"), "OpenAI-Project": environ.get("OPENAI_PROJECT")}
    return Access(
        provider="openai",
        base_url=with_version(environ.get("OPENAI_BASE_URL") or endpoints.openai_base_url, "OPENAI_BASE_URL"),
        setting="OPENAI_BASE_URL",
        key=key_from(environ, "OPENAI_API_KEY"),
        key_names=("OPENAI_API_KEY",),
        headers={header: value for header, value in named.items() if value},
    )


def with_version(url: str, setting: str) -> str:
    """Return the address of an API; where the user gave a server's root only, its ``/v1``.

    Example:
        >>> with_version("http://localhost:8000", "base_url"), with_version("http://localhost/api/", "base_url")
        ('http://localhost:8000/v1', 'http://localhost/api')
    """
    parts = split_url(url, setting)
    return url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")


def key_from(environ: Mapping[str, str], name: str) -> Secret:
    """Return the key in an environment variable.

    Raises:
        ModelUnusable: none there, or one that cannot stand in a header; or the name is none.
    """
    # Some write the key itself where its name belongs: what is no name, or looks little like one, is not repeated.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ModelUnusable(
            "openai_compatible.api_key_env takes the name of an environment variable that holds the key, not the key",
            code="no_credentials",
        )
    value = environ.get(name, "").strip()
    if not value:
        named = name if name == name.upper() else "that openai_compatible.api_key_env names"
        raise ModelUnusable(f"the environment variable {named} is empty; it holds the key", code="no_credentials")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ModelUnusable(f"{name} holds characters that no key has; copy it anew", code="no_credentials")
    return Secret(value)


def _has(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name, "").strip())
