"""Flow matching along straight paths from noise (t = 0) to data (t = 1).

Y. Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023; the times of training are those of K. Black et
al., "pi0: A Vision-Language-Action Flow Model for General Robot Control", 2024: more of them near the noise.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import mse_loss

from alpamayo_r1.counts import is_count
from alpamayo_r1.diffusion.base import BaseDiffusion, StepFn
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.trajectories import check_finite, check_floating

# t = 0.999 - 0.999 * Beta(1.5, 1)
_LATEST_TIME = 0.999
_BETA = (1.5, 1.0)


class TrainingData(TypedDict):
    """One draw for training: ``noisy_x`` lies at ``timesteps`` on the way from ``noise`` to ``x``.

    x, noise and noisy_x are (B, *x_dims), timesteps (B, 1, ..), one per sample.
    """

    x: Tensor
    noise: Tensor
    noisy_x: Tensor
    timesteps: Tensor


class FlowMatching(BaseDiffusion):
    """Samples and trains a vector field v(x, t) = x - noise."""

    def __init__(
        self,
        int_method: str = "euler",
        train_timestep_sampler: str = "beta",
        num_inference_steps: int = 10,
        x_dims: int | Sequence[int] = (),
    ) -> None:
        """Integrate with ``int_method`` in ``num_inference_steps``; draw training times by ``train_timestep_sampler``.

        ``x_dims``, the sizes of one sample, must be given.

        Raises:
            AlpamayoError: a method or sampler that is not known, or sizes that are none.
        """
        super().__init__(x_dims)
        _check_method(int_method)
        _check_steps(num_inference_steps)
        if train_timestep_sampler not in ("beta", "uniform"):
            raise AlpamayoError(
                f"train_timestep_sampler: expected 'beta' or 'uniform', found {train_timestep_sampler!r}."
            )
        self.int_method = int_method
        self.train_timestep_sampler = train_timestep_sampler
        self.num_inference_steps = num_inference_steps
        # Explicitly so: models are made on the "meta" device and in half precision.
        a, b = torch.tensor(_BETA, device="cpu", dtype=torch.float32)
        self.beta_dist = Beta(a, b)

    def sample(
        self,
        batch_size: int,
        step_fn: StepFn,
        device: torch.device | str = "cpu",
        return_all_steps: bool = False,
        inference_step: int | None = None,
        int_method: str | None = None,
        noise: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Draw noise once and follow the vector field ``step_fn(x=, t=)`` from t = 0 to 1.

        Args:
            batch_size: scenes times samples of each.
            step_fn: gets x (batch_size, *x_dims) and t (batch_size, 1, ..), float32, gives the vector field.
            device: where to draw.
            return_all_steps: return (x, t) of shapes (batch_size, steps + 1, *x_dims) and (steps + 1,) instead of
                the last x only; the first x is the noise.
            inference_step: the number of steps, where not the configured one.
            int_method: the method, where not the configured one.
            noise: (batch_size, *x_dims) to start from, instead of drawing it.

        Raises:
            AlpamayoError: the method is not known, a number of steps not positive, noise or a vector field of another
                shape.
        """
        _check_method(self.int_method if int_method is None else int_method)
        steps = self.num_inference_steps if inference_step is None else inference_step
        _check_steps(steps)
        x = torch.randn(batch_size, *self.x_dims, device=device) if noise is None else noise.to(device)
        if tuple(x.shape) != (batch_size, *self.x_dims):
            raise AlpamayoError(f"noise: expected {(batch_size, *self.x_dims)}, found {tuple(x.shape)}.")
        times = torch.linspace(0.0, 1.0, steps + 1, device=device)
        path = [x]
        for start, end in pairwise(times):
            t = start.expand(batch_size).reshape(-1, *[1] * len(self.x_dims))
            field = step_fn(x=x, t=t)
            _check_shape("vector field", field, x)
            x = x + (end - start) * field.to(x.dtype)
            if return_all_steps:
                path.append(x)
        return (torch.stack(path, dim=1), times) if return_all_steps else x

    def construct_training_data(self, x: Tensor) -> TrainingData:
        """Draw noise and a time for every sample of ``x`` (B, *x_dims), in float32 where that is of half precision.

        Raises:
            AlpamayoError: the shape is another, or a value is not finite.
        """
        check_floating("x", x)
        if tuple(x.shape[1:]) != self.x_dims:
            raise AlpamayoError(f"x: expected (B, {', '.join(map(str, self.x_dims))}), found {tuple(x.shape)}.")
        check_finite("x", x)
        x = x if x.dtype == torch.float64 else x.float()  # 8 bits would leave few times and targets
        noise = torch.randn_like(x)
        t = self._draw_times(x).reshape(-1, *[1] * len(self.x_dims))
        return TrainingData(x=x, noise=noise, noisy_x=t * x + (1 - t) * noise, timesteps=t)

    def compute_loss_from_pred(self, training_data: TrainingData, pred: Tensor) -> Tensor:
        """Return the mean squared error () of predicted vector fields (B, *x_dims) against x - noise.

        Raises:
            AlpamayoError: the shape is not that of x.
        """
        _check_shape("predicted vector field", pred, training_data["x"])
        target = training_data["x"] - training_data["noise"]
        return mse_loss(pred.to(target.dtype), target)

    def _draw_times(self, x: Tensor) -> Tensor:
        if self.train_timestep_sampler == "uniform":
            return torch.rand(len(x), device=x.device, dtype=x.dtype)
        drawn = self.beta_dist.sample((len(x),)).to(device=x.device, dtype=x.dtype)
        return _LATEST_TIME * (1 - drawn)


def _check_method(int_method: str) -> None:
    if int_method != "euler":
        raise AlpamayoError(f"int_method: expected 'euler', found {int_method!r}.")


def _check_steps(steps: int) -> None:
    if not is_count(steps):
        raise AlpamayoError(f"inference steps: expected a number from 1, found {steps!r}.")


def _check_shape(name: str, found: Tensor, x: Tensor) -> None:
    if found.shape != x.shape:
        raise AlpamayoError(f"{name}: expected the shape {tuple(x.shape)}, found {tuple(found.shape)}.")
