"""Regularised least squares along time, in float32.

All minimise |A x - b|^2 + weight |D x|^2 + ridge |x|^2, where D takes differences of neighbouring values (A. N.
Tikhonov, "Solution of incorrectly formulated problems and the regularization method", Soviet Math. Dokl. 4, 1963), by a
Cholesky factorisation of A'A + weight D'D + ridge. What does not depend on data is kept between calls.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Penalty:
    """What a smooth curve of ``size`` values costs: weight |differences of ``order``|^2 + ridge |values|^2."""

    size: int
    order: int
    weight: float
    ridge: float

    def matrix(self, device: torch.device) -> Tensor:
        """Return it as a quadratic form (size, size); shared, so not to be written to."""
        return _matrix(self, device)

    def smooth(self, values: Tensor) -> Tensor:
        """Return the curves (..., size) that are closest to ``values`` (..., size) under the penalty."""
        return _substitute(_factor(self, False, values.device), values)

    def smooth_from_zero(self, values: Tensor) -> Tensor:
        """Return the same with the first value fixed at zero; what ``values`` has there plays no part."""
        found = _substitute(_factor(self, True, values.device), values[..., 1:])
        return torch.cat([torch.zeros_like(values[..., :1]), found], dim=-1)


def solve(normal: Tensor, right: Tensor) -> Tensor:
    """Return x (..., N) of normal equations (..., N, N) x = right (..., N)."""
    return _substitute(torch.linalg.cholesky(normal), right)


def solve_from(first: Tensor, normal: Tensor, right: Tensor) -> Tensor:
    """Return x (..., N) where x_0 = ``first`` (...) is known: its column goes to the right-hand side."""
    known = first[..., None]
    found = solve(normal[..., 1:, 1:], right[..., 1:] - normal[..., 1:, 0] * known)
    return torch.cat([known, found], dim=-1)


def _substitute(factor: Tensor, right: Tensor) -> Tensor:
    if factor.ndim > 2:
        return torch.cholesky_solve(right[..., None], factor)[..., 0]
    columns = right.reshape(-1, right.shape[-1]).T  # of one factorisation all curves are right-hand sides
    return torch.cholesky_solve(columns, factor).T.reshape(right.shape)


# The tensors that are kept must be usable by anyone: made on the CPU whatever the default device, in float32 whatever
# the default type and autocast, and outside of a caller's inference mode.
@lru_cache(maxsize=32)
def _matrix(penalty: Penalty, device: torch.device) -> Tensor:
    differences = np.diff(np.eye(penalty.size), n=penalty.order, axis=0)
    matrix = penalty.weight * differences.T @ differences + penalty.ridge * np.eye(penalty.size)
    with torch.inference_mode(False):
        return torch.from_numpy(matrix.astype(np.float32)).to(device)


@lru_cache(maxsize=32)
def _factor(penalty: Penalty, from_zero: bool, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        normal = torch.from_numpy(np.eye(penalty.size, dtype=np.float32)) + _matrix(penalty, torch.device("cpu"))
        factor: Tensor = torch.linalg.cholesky(normal[1:, 1:] if from_zero else normal)
        return factor.to(device)
