"""Trajectories as users give them: in a mapping, one per scene."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.trajectories import checked


def check_poses(data: Mapping[str, Any], name: str) -> tuple[Tensor, Tensor]:
    """Return positions (B, n_group, T, 3) and rotations (B, n_group, T, 3, 3), float32, of a history or a future.

    Args:
        data: holds ``{name}_xyz`` and ``{name}_rot``.
        name: "ego_history" or "ego_future".

    Raises:
        AlpamayoError: one is missing, no floating-point tensor, of another shape, or not finite.
    """
    if not isinstance(data, Mapping):
        raise AlpamayoError(f"data: expected a mapping with {name}_xyz and {name}_rot, found {type(data).__name__}.")
    missing = [key for key in (f"{name}_xyz", f"{name}_rot") if key not in data]
    if missing:
        found = ", ".join(map(str, data)) or "nothing"
        raise AlpamayoError(f"data: expected {' and '.join(missing)}, found {found}.")
    xyz, rot = checked(name, data[f"{name}_xyz"], data[f"{name}_rot"])
    if xyz.ndim != 4 or 0 in xyz.shape:
        raise AlpamayoError(f"{name}_xyz: expected shape (B, 1, T, 3), found {tuple(xyz.shape)}.")
    return xyz, rot
