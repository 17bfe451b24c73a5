"""What every function that takes trajectories demands of them."""

import torch
from torch import Tensor

from alpamayo_r1.errors import AlpamayoError


def checked(
    name: str, xyz: Tensor, rot: Tensor, *, steps: int | None = None, at_least: int = 1
) -> tuple[Tensor, Tensor]:
    """Return a trajectory in float32, once it is known to be one.

    Args:
        name: what it is called in messages: "history", "future".
        xyz: (..., T, 3) positions in m.
        rot: (..., T, 3, 3) rotations.
        steps: the T that is expected, if only one is.
        at_least: the smallest T that will do.

    Raises:
        AlpamayoError: another shape or type, too few poses, a value that is not finite.
    """
    wanted = "T" if steps is None else str(steps)
    _check_tensor(f"{name} positions", xyz, f"(..., {wanted}, 3)", (3,))
    _check_tensor(f"{name} rotations", rot, f"(..., {wanted}, 3, 3)", (3, 3))
    if xyz.shape[:-1] != rot.shape[:-2]:
        raise AlpamayoError(
            f"{name}: expected as many rotations as positions, found positions {tuple(xyz.shape)} and "
            f"rotations {tuple(rot.shape)}."
        )
    found = xyz.shape[-2]
    if steps is not None and found != steps:
        raise AlpamayoError(f"{name}: expected {steps} poses, found {found} in positions {tuple(xyz.shape)}.")
    if found < at_least:
        raise AlpamayoError(f"{name}: expected at least {at_least} poses, found {found}: it is too short.")
    check_finite(f"{name} positions", xyz)
    check_finite(f"{name} rotations", rot)
    return xyz.float(), rot.float()


def check_finite(name: str, values: Tensor) -> None:
    """Raise AlpamayoError for NaN and infinity, with the place of the first one."""
    # The largest magnitude tells, since NaN passes through it; asking each number takes ten times as long.
    if values.numel() and not torch.isfinite(values.abs().amax()):
        place = tuple((~torch.isfinite(values)).nonzero()[0].tolist())
        raise AlpamayoError(f"{name}: expected finite numbers, found {values[place].item()} at {list(place)}.")


def check_floating(name: str, values: Tensor) -> None:
    """Raise AlpamayoError where a tensor does not hold floating-point numbers."""
    if not values.is_floating_point():
        raise AlpamayoError(f"{name}: expected floating-point numbers, found {values.dtype}.")


def _check_tensor(name: str, values: Tensor, wanted: str, last: tuple[int, ...]) -> None:
    if not isinstance(values, Tensor):
        raise AlpamayoError(f"{name}: expected a tensor {wanted}, found {type(values).__name__}.")
    if values.ndim <= len(last) or tuple(values.shape[-len(last) :]) != last:
        raise AlpamayoError(f"{name}: expected the shape {wanted}, found {tuple(values.shape)}.")
    check_floating(name, values)
