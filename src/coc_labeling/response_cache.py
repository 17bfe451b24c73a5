"""Answers kept by the whole request that they answer, so that a run repeated costs nothing.

One small JSON file per request, below a folder of two letters of its hash. Answers are text; pictures are not kept.
"""

import json
import logging
from typing import Any

from driving_clips import files

log = logging.getLogger(__name__)

VERSION = 1
_KEPT = (
    "finish_reason",
    "content",
    "text",
    "prompt_tokens",
    "response_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "system_fingerprint",
    "model",
)


class ResponseCache:
    """The answers in a folder; None keeps none. A cache that cannot be read or written costs time, never labels."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self.hits = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the answer to the request of this hash, or None."""
        if self._folder is None:
            return None
        try:
            kept = json.loads(files.read_text(self._path(key)))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict) or kept.get("version") != VERSION or not isinstance(kept.get("answer"), dict):
            return None
        if "content" not in kept["answer"]:
            return None
        self.hits += 1
        return dict(kept["answer"])

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer."""
        if self._folder is None:
            return
        try:
            path = self._path(key)
            files.make_parents(path)
            kept = {name: answer[name] for name in _KEPT if name in answer}
            files.write_atomic(path, json.dumps({"version": VERSION, "answer": kept}))
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: the response cache cannot be written (%s); going on without it", self._folder, error)
            self._folder = None

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key[:2]}/{key}.json"
