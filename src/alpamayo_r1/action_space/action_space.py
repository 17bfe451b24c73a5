"""What an action space is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, overload

from torch import Tensor

from alpamayo_r1.precision import Float32Buffers


class ActionSpace(Float32Buffers, ABC):
    """Between future trajectories and normalised actions, there and, but for smoothing, back.

    Trajectories are positions (..., T, 3) in m and rotations (..., T, 3, 3), in the ego frame at t0: x forward, y left.
    The last pose of a history is that of t0, the first one of a future is a time step later.
    """

    @abstractmethod
    def get_action_space_dims(self) -> tuple[int, int]:
        """Return the shape of one trajectory's actions: (waypoints, channels)."""

    @abstractmethod
    def is_within_bounds(self, action: Tensor) -> Tensor:
        """Say (...) of normalised actions (..., waypoints, channels) whether all lie within the physical bounds."""

    @abstractmethod
    def estimate_t0_states(self, hist_xyz: Tensor, hist_rot: Tensor) -> dict[str, Tensor]:
        """Return what the roll-out starts from, by name, each (...): estimated from the history."""

    @abstractmethod
    def action_to_traj(
        self, action: Tensor, hist_xyz: Tensor, hist_rot: Tensor, t0_states: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return positions (..., waypoints, 3) and rotations (..., waypoints, 3, 3) that actions drive."""

    @abstractmethod
    def traj_to_action_and_states(
        self,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        fut_xyz: Tensor,
        fut_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the actions that drive a future and the states (..., waypoints, :) at the start of each step."""

    @overload
    def traj_to_action(
        self,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        fut_xyz: Tensor,
        fut_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
        output_all_states: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def traj_to_action(
        self,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        fut_xyz: Tensor,
        fut_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
        *,
        output_all_states: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    def traj_to_action(
        self,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        fut_xyz: Tensor,
        fut_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
        output_all_states: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the actions that drive a future, alone or with the states; see ``traj_to_action_and_states``."""
        action, states = self.traj_to_action_and_states(hist_xyz, hist_rot, fut_xyz, fut_rot, t0_states)
        return (action, states) if output_all_states else action
