"""Trajectories as tokens of the steps between their positions: how the model is told the history."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from alpamayo_r1.binning import Binning, channels_of, floats
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.geometry import rot_of_yaw, wrap, yaw_of
from alpamayo_r1.trajectories import checked

# Headings of decoded positions: the slope of cubics fitted to ten samples around each.
_FIT_SAMPLES = 10
_FIT_LEAD = 5
_FIT_DEGREE = 3


class DeltaTrajectoryTokenizer:
    """Bins the steps between positions, the first one from the origin, per axis; step-major: x, y, z, x, ...

    With ``predict_yaw`` a fourth channel bins MINUS the step of heading, and decoding does not turn the sign back, so
    that decoded rotations are mirrored: released models were trained so.
    """

    def __init__(
        self,
        ego_xyz_min: Sequence[float] = (-4.0, -4.0, -10.0),
        ego_xyz_max: Sequence[float] = (4.0, 4.0, 10.0),
        ego_yaw_min: float = -math.pi,
        ego_yaw_max: float = math.pi,
        num_bins: int = 1000,
        predict_yaw: bool = False,
        load_weights: bool = False,
    ) -> None:
        """Bin steps from ``ego_xyz_min`` to ``ego_xyz_max`` in m, of heading from ``ego_yaw_min`` in rad.

        ``load_weights`` stands in released configurations and says nothing here: there are no weights.

        Raises:
            AlpamayoError: bounds that are none, fewer than two bins.
        """
        low, high = floats("ego_xyz_min", ego_xyz_min, 3), floats("ego_xyz_max", ego_xyz_max, 3)
        if predict_yaw:
            low, high = (*low, float(ego_yaw_min)), (*high, float(ego_yaw_max))
        self.predict_yaw = predict_yaw
        self.load_weights = load_weights
        self.bins = Binning(low, high, num_bins)

    @property
    def num_bins(self) -> int:
        """The number of bins of each channel."""
        return self.bins.count

    @property
    def vocab_size(self) -> int:
        """The number of different tokens: channels share them."""
        return self.bins.count

    def encode(self, hist_xyz: Tensor, hist_rot: Tensor, fut_xyz: Tensor, fut_rot: Tensor) -> Tensor:
        """Return the tokens (..., T * channels), int64, of a trajectory.

        Args:
            hist_xyz: not looked at; every tokenizer takes it.
            hist_rot: not looked at.
            fut_xyz: (..., T, 3) positions in m of the trajectory to encode, in the ego frame at t0.
            fut_rot: (..., T, 3, 3) rotations.

        Raises:
            AlpamayoError: another shape or type, a value that is not finite.
        """
        xyz, rot = checked("trajectory", fut_xyz, fut_rot)
        steps = xyz.diff(dim=-2, prepend=torch.zeros_like(xyz[..., :1, :]))
        if self.predict_yaw:
            yaw = yaw_of(rot)
            turns = wrap(-yaw.diff(dim=-1, prepend=torch.zeros_like(yaw[..., :1])))
            steps = torch.cat([steps, turns[..., None]], dim=-1)
        return self.bins.encode(steps).flatten(-2)

    def decode(self, hist_xyz: Tensor, hist_rot: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return positions (..., T, 3) in m and rotations (..., T, 3, 3) about z of tokens (..., T * channels).

        Args:
            hist_xyz: gives type and device; every tokenizer takes it.
            hist_rot: not looked at.
            tokens: integers from 0, without the offset of the vocabulary.

        Raises:
            AlpamayoError: a number of tokens that does not fit, a token that does not exist, fewer than four steps
                where headings are taken from positions.
        """
        steps = self.bins.decode(channels_of(tokens, len(self.bins.low)), like=hist_xyz.float())
        summed = steps.cumsum(dim=-2)
        xyz = summed[..., :3]
        return xyz, rot_of_yaw(summed[..., 3] if self.predict_yaw else _headings(xyz))


def _headings(xyz: Tensor) -> Tensor:
    """Return the headings (..., T) in rad of positions (..., T, 3), from the slopes of cubics."""
    slopes = _slope_matrix(xyz.shape[-2]).to(xyz.device)
    # A sum instead of a matrix product, which autocast would do in half precision.
    x_slope, y_slope = ((slopes * xyz[..., None, :, axis].double()).sum(dim=-1) for axis in (0, 1))
    return torch.atan2(y_slope, x_slope).to(xyz.dtype)


@lru_cache(maxsize=8)
def _slope_matrix(steps: int) -> Tensor:
    """Return the matrix (steps, steps), float64, from samples to the slopes of the cubics around each of them."""
    if steps <= _FIT_DEGREE:
        raise AlpamayoError(f"tokens: expected at least {_FIT_DEGREE + 1} steps to fit headings to, found {steps}.")
    window = min(_FIT_SAMPLES, steps)
    matrix = np.zeros((steps, steps))
    for i in range(steps):
        start = int(np.clip(i - _FIT_LEAD, 0, steps - window))
        powers = np.vander(np.arange(start, start + window) - i, _FIT_DEGREE + 1, increasing=True)
        matrix[i, start : start + window] = np.linalg.pinv(powers)[1]  # the coefficient of t, where t = 0 is sample i
    with torch.inference_mode(False):
        return torch.from_numpy(matrix)
