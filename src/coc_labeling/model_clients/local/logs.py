"""vLLM says a lot: all of it goes into a file, from this process and from the engine's."""

import atexit
import json
import logging.config
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

_FORMAT = "%(asctime)s %(processName)s %(process)d %(levelname)s %(name)s:%(lineno)d %(message)s"
_LOUD = {"vllm": "INFO", "transformers": "WARNING", "torch": "WARNING", "huggingface_hub": "WARNING"}


def import_quietly(log_path: str) -> None:
    """Import vLLM with its log in a file; its processes find the same setting in their environment.

    Raises:
        OSError: the file cannot be written.
        ImportError: vLLM cannot be imported, for want of a library it was built with.
    """
    settings = _settings(log_path)
    descriptor, path = tempfile.mkstemp(prefix="coc-vllm-logging-", suffix=".json")
    # Its processes read the file when they start, which may be any time.
    atexit.register(Path(path).unlink, missing_ok=True)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    os.environ["VLLM_LOGGING_CONFIG_PATH"] = path
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vllm.v1.engine.async_llm  # noqa: F401
    logging.config.dictConfig(settings)  # also where somebody had imported vLLM before


def _settings(log_path: str) -> dict[str, Any]:
    """Return the configuration of Python's logging that sends loud libraries into a file."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": _FORMAT}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": log_path, "formatter": "plain"}},
        "loggers": {name: {"handlers": ["file"], "level": level, "propagate": False} for name, level in _LOUD.items()},
    }
