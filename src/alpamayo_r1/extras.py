"""What the extra ``model`` brings: torch and transformers, imported only where they are needed."""

from importlib.util import find_spec
from typing import Any

from driving_clips.errors import DatasetError

_PACKAGES = ("torch", "transformers", "safetensors")


def require() -> None:
    """Raise DatasetError with the command that installs what is missing of the extra, before anything else is done."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise DatasetError(
            f"the reasoning model needs {', '.join(missing)}, not installed: pip install 'coc-toolkit[model]'"
        )


def torch() -> Any:
    """Return the module ``torch``; raises DatasetError as ``require`` does."""
    require()
    import torch as module

    return module
