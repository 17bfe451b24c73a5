"""Hosted models (the GPT-5 family), and any other server that speaks OpenAI's chat completions."""

import os
from typing import Any, ClassVar

from coc_labeling.model_clients.credentials import (
    PROVIDER_HOSTS,
    Access,
    ProviderEndpoints,
    hosted_access,
    key_from,
    with_version,
)
from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper

# From our names to OpenAI's; a name that is not here is sent as it is.
model_name_map: dict[str, str] = {"gpt5": "gpt-5", "gpt5.5": "gpt-5.5"}

COMPATIBLE = "openai_compatible"


class OpenAIWrapper(ChatWrapper):
    """A hosted model, reached by the first complete set of credentials; or ``openai_compatible``.

    Hosted models take no sampling parameters. ``openai_compatible`` goes to ``settings.base_url`` and takes them all.

    Attributes:
        endpoints: where the hosted providers are.
    """

    preferred_in_flight = 32
    endpoints: ClassVar[ProviderEndpoints] = ProviderEndpoints()

    @property
    def _is_hosted(self) -> bool:
        return self.model_name != COMPATIBLE

    @property
    def bounds_texts(self) -> bool:  # type: ignore[override]  # a plain attribute elsewhere
        """OpenAI's own models refuse it."""
        return not self._is_hosted

    def locate(self) -> tuple[Access, ...]:
        """Return how the provider is reached.

        Raises:
            ModelUnusable: credentials or settings are missing; the message names them.
        """
        if not self._is_hosted:
            return (self._compatible(),)
        model_id = model_name_map.get(self.model_name, self.model_name)
        access, self.model_id = hosted_access(model_id, os.environ, self.endpoints)
        self.provider_hosts = (PROVIDER_HOSTS[access.provider],)
        return (access,)

    def _compatible(self) -> Access:
        settings = self.settings
        missing = [f"openai_compatible.{name}" for name in ("base_url", "model") if not getattr(settings, name)]
        if not (settings.base_url and settings.model):
            raise ModelUnusable(f"model_name={COMPATIBLE} needs {' and '.join(missing)}", code="no_address")
        self.model_id = settings.model
        return Access(
            provider=COMPATIBLE,
            base_url=with_version(settings.base_url, "openai_compatible.base_url"),
            setting="openai_compatible.base_url",
            key=key_from(os.environ, settings.api_key_env) if settings.api_key_env else None,
            key_names=(settings.api_key_env,) if settings.api_key_env else (),
        )

    def parameters(
        self, max_tokens: int, seed: int, temperature: float, top_p: float, repetition_penalty: float
    ) -> dict[str, Any]:
        """Return the limit of the answer and, where they are taken, the sampling parameters."""
        if self._is_hosted:
            return {self.settings.token_parameter or "max_completion_tokens": max_tokens}
        return sampling(
            self.settings.token_parameter or "max_tokens", max_tokens, seed, temperature, top_p, repetition_penalty
        )


def sampling(
    token_parameter: str, max_tokens: int, seed: int, temperature: float, top_p: float, repetition_penalty: float
) -> dict[str, Any]:
    """Return the parameters of an open server; those that change nothing stay out, for not every server knows them."""
    parameters: dict[str, Any] = {token_parameter: max_tokens, "temperature": temperature, "seed": seed}
    if top_p != 1.0:
        parameters["top_p"] = top_p
    if repetition_penalty != 1.0:
        parameters["repetition_penalty"] = repetition_penalty
    return parameters
