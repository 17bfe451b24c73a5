"""What a generative model of action sequences offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from alpamayo_r1.errors import AlpamayoError


class StepFn(Protocol):
    """The network, closed over its context: where a noisy sample should go."""

    def __call__(self, *, x: Tensor, t: Tensor) -> Tensor:
        """Return the vector field (B, *x_dims) at samples ``x`` (B, *x_dims) and times ``t`` (B, 1, ..)."""
        ...


class BaseDiffusion(nn.Module, ABC):
    """Draws samples of shape ``x_dims`` from noise."""

    def __init__(self, x_dims: int | Sequence[int]) -> None:
        super().__init__()
        dims = (x_dims,) if isinstance(x_dims, int) else tuple(x_dims)
        if not dims or not all(isinstance(n, int) and n > 0 for n in dims):
            raise AlpamayoError(f"x_dims: expected positive sizes of one sample, found {x_dims!r}.")
        self.x_dims = dims

    @abstractmethod
    def sample(
        self,
        batch_size: int,
        step_fn: StepFn,
        device: torch.device | str = "cpu",
        return_all_steps: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return samples (batch_size, *x_dims), or all steps to them and their times."""
