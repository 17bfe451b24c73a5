"""Acceleration and curvature of a unicycle as actions.

With time step dt, speed v, heading theta, acceleration a and curvature k, both constant over a step:

    v_{i+1} = v_i + a_i dt
    theta_{i+1} = theta_i + k_i (v_i dt + a_i dt^2 / 2)
    p_{i+1} = p_i + (v_i u_i + v_{i+1} u_{i+1}) dt / 2,  u = (cos theta, sin theta)

The vehicle drives in the plane; height stays that of t0.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from alpamayo_r1.action_space.action_space import ActionSpace
from alpamayo_r1.action_space.smoothing import Penalty, solve, solve_from
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.geometry import rot_of_yaw, unwrap, yaw_of
from alpamayo_r1.trajectories import check_finite, check_floating, checked

# Third differences need four poses; fewer leave the last speed to the ridge.
_SHORTEST_HISTORY = 4


class UnicycleAccelCurvatureActionSpace(ActionSpace):
    """Actions (..., n_waypoints, 2) are acceleration in m/s^2 and curvature in 1/m, each (value - mean) / std.

    All tensors have the same leading dimensions, as (B, 1, ...), and are computed with in float32. The inverse smooths
    what it finds: penalties ``lambda`` on second differences of acceleration and curvature (over dt^4) and on third
    differences of heading and speed (over dt^6), and a ``ridge`` that pulls to zero.
    """

    accel_mean: Tensor
    accel_std: Tensor
    curvature_mean: Tensor
    curvature_std: Tensor

    def __init__(
        self,
        accel_mean: float = 0.0,
        accel_std: float = 1.0,
        curvature_mean: float = 0.0,
        curvature_std: float = 1.0,
        accel_bounds: Sequence[float] = (-9.8, 9.8),
        curvature_bounds: Sequence[float] = (-0.2, 0.2),
        dt: float = 0.1,
        n_waypoints: int = 64,
        theta_lambda: float = 1e-6,
        theta_ridge: float = 1e-8,
        v_lambda: float = 1e-6,
        v_ridge: float = 1e-4,
        a_lambda: float = 1e-4,
        a_ridge: float = 1e-4,
        kappa_lambda: float = 1e-4,
        kappa_ridge: float = 1e-4,
    ) -> None:
        """Normalise with means and standard deviations, in m/s^2 and 1/m; ``dt`` in s.

        Raises:
            AlpamayoError: a standard deviation or a time step that is not positive, fewer than four waypoints.
        """
        super().__init__()
        _check_positive(accel_std=accel_std, curvature_std=curvature_std, dt=dt)
        if n_waypoints < _SHORTEST_HISTORY:
            raise AlpamayoError(f"n_waypoints: expected at least {_SHORTEST_HISTORY}, found {n_waypoints}.")
        for name, value in (
            ("accel_mean", accel_mean),
            ("accel_std", accel_std),
            ("curvature_mean", curvature_mean),
            ("curvature_std", curvature_std),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.accel_bounds = _pair("accel_bounds", accel_bounds)
        self.curvature_bounds = _pair("curvature_bounds", curvature_bounds)
        self.dt = dt
        self.n_waypoints = n_waypoints
        self._v_weights = (v_lambda / dt**6, v_ridge)
        self._theta_penalty = Penalty(n_waypoints + 1, 3, theta_lambda / dt**6, theta_ridge)
        self._v_penalty = Penalty(n_waypoints + 1, 3, *self._v_weights)
        self._a_penalty = Penalty(n_waypoints, 2, a_lambda / dt**4, a_ridge)
        self._kappa_penalty = Penalty(n_waypoints, 2, kappa_lambda / dt**4, kappa_ridge)

    def get_action_space_dims(self) -> tuple[int, int]:
        """Return (n_waypoints, 2)."""
        return self.n_waypoints, 2

    def is_within_bounds(self, action: Tensor) -> Tensor:
        """Say of normalised actions (..., n_waypoints, 2) whether all lie within the bounds: (...) bool.

        Raises:
            AlpamayoError: another shape or type.
        """
        accel, curvature = self._physical(action)
        (a_min, a_max), (k_min, k_max) = self.accel_bounds, self.curvature_bounds
        inside = (accel >= a_min) & (accel <= a_max) & (curvature >= k_min) & (curvature <= k_max)
        return inside.all(dim=-1)

    def estimate_t0_states(self, hist_xyz: Tensor, hist_rot: Tensor) -> dict[str, Tensor]:
        """Return {"v": (...) speed in m/s at the last pose of the history}, from its positions and headings.

        Args:
            hist_xyz: (..., T, 3) positions in m at ``dt``, T at least 4.
            hist_rot: (..., T, 3, 3) rotations.

        Raises:
            AlpamayoError: another shape or type, fewer poses, a value that is not finite.
        """
        hist_xyz, hist_rot = checked("history", hist_xyz, hist_rot, at_least=_SHORTEST_HISTORY)
        penalty = Penalty(hist_xyz.shape[-2], 3, *self._v_weights)
        normal, right = self._speed_equations(hist_xyz[..., :2], unwrap(yaw_of(hist_rot)), penalty)
        return {"v": solve(normal, right)[..., -1]}

    def traj_to_action_and_states(
        self,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        fut_xyz: Tensor,
        fut_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Find the actions that drive a future: heading, speed, acceleration, curvature, each from those before it.

        Args:
            hist_xyz: (..., T, 3) positions in m, in the ego frame at t0, which is the last of them.
            hist_rot: (..., T, 3, 3) rotations.
            fut_xyz: (..., n_waypoints, 3) positions at dt, 2 dt, ...
            fut_rot: (..., n_waypoints, 3, 3) rotations.
            t0_states: {"v": (...) m/s} at t0; None estimates it from the history.

        Returns:
            The actions, and the states (..., n_waypoints, 3) at the start of each step: speed in m/s, normalised
            acceleration, heading in rad.

        Raises:
            AlpamayoError: another shape or type, too short a history, a value that is not finite.
        """
        v0, hist_xyz = self._start(hist_xyz, hist_rot, t0_states)
        fut_xyz, fut_rot = checked("future", fut_xyz, fut_rot, steps=self.n_waypoints)
        if fut_xyz.shape[:-2] != hist_xyz.shape[:-2]:
            raise AlpamayoError(
                f"future: expected the leading dimensions of the history, {tuple(hist_xyz.shape[:-2])}, "
                f"found {tuple(fut_xyz.shape[:-2])}."
            )
        yaw = yaw_of(fut_rot)
        theta = self._theta_penalty.smooth_from_zero(unwrap(torch.cat([torch.zeros_like(yaw[..., :1]), yaw], dim=-1)))
        xy = torch.cat([hist_xyz[..., -1:, :2], fut_xyz[..., :2]], dim=-2)
        v = solve_from(v0, *self._speed_equations(xy, theta, self._v_penalty))
        accel = self._a_penalty.smooth(v.diff(dim=-1) / self.dt)
        curvature = self._curvature(theta, v, accel)
        action = self._normalised(accel, curvature)
        return action, torch.stack([v[..., :-1], action[..., 0], theta[..., :-1]], dim=-1)

    def action_to_traj(
        self,
        action: Tensor,
        hist_xyz: Tensor,
        hist_rot: Tensor,
        t0_states: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Roll actions out from the last pose of the history.

        Args:
            action: (..., n_waypoints, 2) normalised actions.
            hist_xyz: (..., T, 3) positions in m, in the ego frame at t0, which is the last of them.
            hist_rot: (..., T, 3, 3) rotations.
            t0_states: {"v": (...) m/s} at t0; None estimates it from the history.

        Returns:
            Positions (..., n_waypoints, 3) in m and rotations (..., n_waypoints, 3, 3) about z, at dt, 2 dt, ...

        Raises:
            AlpamayoError: another shape or type, too short a history, a value that is not finite.
        """
        v0, hist_xyz = self._start(hist_xyz, hist_rot, t0_states)
        accel, curvature = self._physical(action)
        check_finite("action", action)
        if accel.shape[:-1] != hist_xyz.shape[:-2]:
            raise AlpamayoError(
                f"action: expected the leading dimensions of the history, {tuple(hist_xyz.shape[:-2])}, "
                f"found {tuple(action.shape)}."
            )
        dt = self.dt
        v = torch.cat([v0[..., None], v0[..., None] + (accel * dt).cumsum(dim=-1)], dim=-1)
        turns = curvature * (v[..., :-1] * dt + accel * (dt**2 / 2))
        theta = torch.cat([torch.zeros_like(v0)[..., None], turns.cumsum(dim=-1)], dim=-1)
        velocity = v[..., None] * torch.stack([theta.cos(), theta.sin()], dim=-1)
        moves = (velocity[..., :-1, :] + velocity[..., 1:, :]) * (dt / 2)
        start = hist_xyz[..., -1:, :]
        height = start[..., 2:].expand(*moves.shape[:-1], 1)
        xyz = torch.cat([start[..., :2] + moves.cumsum(dim=-2), height], dim=-1)
        return xyz, rot_of_yaw(theta[..., 1:])

    def _start(
        self, hist_xyz: Tensor, hist_rot: Tensor, t0_states: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return the speed (...) at t0 and the history's positions in float32."""
        if t0_states is None:
            t0_states = self.estimate_t0_states(hist_xyz, hist_rot)
        hist_xyz, _ = checked("history", hist_xyz, hist_rot)
        if "v" not in t0_states:
            raise AlpamayoError(f't0_states: expected "v", the speed at t0 in m/s, found {sorted(t0_states)}.')
        v0 = t0_states["v"]
        if v0.shape != hist_xyz.shape[:-2]:
            raise AlpamayoError(
                f't0_states["v"]: expected the shape {tuple(hist_xyz.shape[:-2])}, found {tuple(v0.shape)}.'
            )
        check_floating('t0_states["v"]', v0)
        check_finite('t0_states["v"]', v0)
        return v0.float(), hist_xyz

    def _speed_equations(self, xy: Tensor, theta: Tensor, penalty: Penalty) -> tuple[Tensor, Tensor]:
        """Return normal matrix (..., N, N) and right-hand side (..., N) of v_i u_i + v_{i+1} u_{i+1} = 2 dp_i / dt.

        ``xy`` is (..., N, 2), ``theta`` (..., N). The u are unit vectors: each equation adds 1 to two places of the
        diagonal and the cosine of the turn beside it.
        """
        u = torch.stack([theta.cos(), theta.sin()], dim=-1)
        target = 2 * xy.diff(dim=-2) / self.dt
        diagonal = torch.full_like(theta, 2.0)
        diagonal[..., 0] = diagonal[..., -1] = 1.0
        beside = (u[..., :-1, :] * u[..., 1:, :]).sum(dim=-1)
        data = diagonal.diag_embed() + beside.diag_embed(1) + beside.diag_embed(-1)
        right = torch.zeros_like(theta)
        right[..., :-1] += (target * u[..., :-1, :]).sum(dim=-1)
        right[..., 1:] += (target * u[..., 1:, :]).sum(dim=-1)
        return data + penalty.matrix(theta.device), right

    def _curvature(self, theta: Tensor, v: Tensor, accel: Tensor) -> Tensor:
        """Return k (..., n) of dtheta = k (v dt + a dt^2 / 2): at rest it says nothing, and smoothness decides."""
        distance = v[..., :-1] * self.dt + accel * (self.dt**2 / 2)
        normal = distance.square().diag_embed() + self._kappa_penalty.matrix(theta.device)
        return solve(normal, distance * theta.diff(dim=-1))

    def _normalised(self, accel: Tensor, curvature: Tensor) -> Tensor:
        accel = (accel - self.accel_mean.float()) / self.accel_std.float()
        curvature = (curvature - self.curvature_mean.float()) / self.curvature_std.float()
        return torch.stack([accel, curvature], dim=-1)

    def _physical(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return acceleration in m/s^2 and curvature in 1/m, each (..., n_waypoints)."""
        if action.ndim < 2 or tuple(action.shape[-2:]) != self.get_action_space_dims():
            raise AlpamayoError(
                f"action: expected the shape (..., {self.n_waypoints}, 2), found {tuple(action.shape)}."
            )
        check_floating("action", action)
        accel, curvature = action.float().unbind(dim=-1)
        accel = accel * self.accel_std.float() + self.accel_mean.float()
        return accel, curvature * self.curvature_std.float() + self.curvature_mean.float()


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise AlpamayoError(f"{name}: expected a positive number, found {value!r}.")


def _pair(name: str, bounds: Sequence[float]) -> tuple[float, float]:
    if len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise AlpamayoError(f"{name}: expected a lower and an upper bound, found {bounds!r}.")
    return bounds[0], bounds[1]
