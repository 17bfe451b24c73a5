"""A model that needs nothing and says nothing: for smoke tests and dry runs."""

import json
from typing import Any

from pydantic import BaseModel

from coc_labeling.model_clients.json_schemas import smallest_instance, strict_schema
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper, structured


class DummyWrapper(BaseWrapper):
    """Answers at once, always the same, in the form that the schema asks for; nothing is sent anywhere."""

    needs_frames = False
    preferred_in_flight = 8

    def describe(self) -> dict[str, Any]:
        """Return provider, addresses and model."""
        return {"provider": "dummy", "base_urls": [], "model": self.model_id}

    async def send(
        self, body: dict[str, Any], json_schema: type[BaseModel] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Return the smallest answer that fits the schema, or a sentence without one."""
        text = json.dumps(smallest_instance(strict_schema(json_schema))) if json_schema else "dummy answer"
        return {
            "finish_reason": "stop",
            "content": structured(text, json_schema),
            "text": text,
            "prompt_tokens": 0,
            "response_tokens": 0,
            "reasoning_tokens": 0,
            "cached_tokens": 0,
            "system_fingerprint": "dummy",
            "model": self.model_id,
        }
