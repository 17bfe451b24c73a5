"""What the extra ``model`` brings: torch and transformers, imported only where they are needed."""

from importlib.util import find_spec
from typing import Any

from driving_clips.errors import DatasetError

# By the name under which each is imported.
_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "safetensors": "safetensors",
    "PIL": "pillow",
}


def require() -> None:
    """Raise DatasetError with the command that installs what is missing of the extra, before anything else is done."""
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise DatasetError(
            f"the reasoning model needs {', '.join(missing)}, not installed: pip install 'coc-toolkit[model]'"
        )


def torch() -> Any:
    """Return the module ``torch``; raises DatasetError as ``require`` does."""
    require()
    import torch as module

    return module
