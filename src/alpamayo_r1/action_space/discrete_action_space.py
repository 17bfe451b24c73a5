"""Trajectories as tokens: the actions of an action space, in bins."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from alpamayo_r1.action_space.action_space import ActionSpace
from alpamayo_r1.binning import Binning, channels_of, floats
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.instantiate import instantiate


class DiscreteTrajectoryTokenizer:
    """Bins the normalised actions that drive a future; step-major: acceleration, curvature, acceleration, ...

    It holds an action space of its own, on the CPU, that is no part of the model's parameters.
    """

    def __init__(
        self,
        action_space_cfg: ActionSpace | Mapping[str, Any],
        dims_min: Sequence[float],
        dims_max: Sequence[float],
        num_bins: int,
    ) -> None:
        """Bin actions from ``dims_min`` to ``dims_max``, one number per channel, in normalised units.

        Raises:
            AlpamayoError: a configuration of an action space that is not known, bounds that are none, fewer than two
                bins.
        """
        self.action_space = _action_space(action_space_cfg)
        channels = self.action_space.get_action_space_dims()[-1]
        self.bins = Binning(floats("dims_min", dims_min, channels), floats("dims_max", dims_max, channels), num_bins)

    @property
    def num_bins(self) -> int:
        """The number of bins of each channel."""
        return self.bins.count

    @property
    def vocab_size(self) -> int:
        """The number of different tokens: channels share them."""
        return self.bins.count

    def encode(self, hist_xyz: Tensor, hist_rot: Tensor, fut_xyz: Tensor, fut_rot: Tensor) -> Tensor:
        """Return the tokens (..., waypoints * channels), int64, of a future in the ego frame at t0.

        Args:
            hist_xyz: (..., T, 3) positions in m.
            hist_rot: (..., T, 3, 3) rotations.
            fut_xyz: (..., waypoints, 3) positions in m.
            fut_rot: (..., waypoints, 3, 3) rotations.

        Raises:
            AlpamayoError: another shape or type, too short a history, a value that is not finite.
        """
        action = self.action_space.traj_to_action(hist_xyz, hist_rot, fut_xyz, fut_rot)
        return self.bins.encode(action).flatten(-2)

    def decode(self, hist_xyz: Tensor, hist_rot: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return positions (..., waypoints, 3) in m and rotations (..., waypoints, 3, 3) that tokens drive.

        Args:
            hist_xyz: (..., T, 3) positions in m, in the ego frame at t0.
            hist_rot: (..., T, 3, 3) rotations.
            tokens: (..., waypoints * channels) integers from 0, without the offset of the vocabulary.

        Raises:
            AlpamayoError: a number of tokens that does not fit, a token that does not exist, a history that cannot be
                used.
        """
        action = self.bins.decode(channels_of(tokens, len(self.bins.low)), like=hist_xyz.float())
        return self.action_space.action_to_traj(action, hist_xyz, hist_rot)


def _action_space(cfg: ActionSpace | Mapping[str, Any]) -> ActionSpace:
    if isinstance(cfg, ActionSpace):
        return cfg
    with torch.device("cpu"):  # models are made on the "meta" device, and weights filled in: here come none
        built = instantiate(cfg)
    if not isinstance(built, ActionSpace):
        raise AlpamayoError(f"action_space_cfg: expected an action space, found {cfg['_target_']!r}.")
    return built
