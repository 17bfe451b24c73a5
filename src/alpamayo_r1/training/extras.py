"""What the extra ``train`` brings."""

from importlib.util import find_spec

from alpamayo_r1.errors import AlpamayoError

_PACKAGES = ("torch", "transformers", "safetensors", "accelerate", "tensorboard")


def require() -> None:
    """Raise AlpamayoError with the command that installs what is missing of the extra, before anything else is done."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise AlpamayoError(f"training needs {', '.join(missing)}, not installed: pip install 'coc-toolkit[train]'")
