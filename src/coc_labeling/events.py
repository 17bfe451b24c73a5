"""A run's events as JSON lines, for machines to follow: ``log_json=true``."""

import json
import logging
import time
from typing import IO, Any

from driving_clips import files

log = logging.getLogger(__name__)


class EventLog:
    """Appends events to a file; without a path it drops them. Prompts, pictures and secrets are never in them."""

    def __init__(self, path: str | None) -> None:
        self._file: IO[str] | None = files.open_append(path) if path else None

    def write(self, event: str, clip_id: str | None = None, t_us: int | None = None, **fields: Any) -> None:
        """Write one event with the time in s since 1970."""
        if self._file is None:
            return
        about = {"clip_id": clip_id, "event_start_timestamp": t_us} if clip_id is not None else {}
        line = {"time": round(time.time(), 3), "event": event, **about, **fields}
        try:
            self._file.write(json.dumps(line, default=str) + "\n")
            self._file.flush()
        except OSError as error:  # a run is worth more than its log
            log.warning("the log of events cannot be written (%s); going on without it", error)
            self._file = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
