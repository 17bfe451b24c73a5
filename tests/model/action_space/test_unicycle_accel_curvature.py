"""Trajectories to actions and back: against the reference, on drives of all kinds, on real ones, and on bad input."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import drives
from alpamayo_r1.action_space import UnicycleAccelCurvatureActionSpace, smoothing
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.geometry import rot_of_quat, rot_of_yaw, unwrap, yaw_of
from drives import FUTURE, HISTORY, Drive
from driving_clips.datasets import open_dataset
from driving_clips.ego_motion import EgoMotion
from driving_clips.trajectories import TrajectoryLoader
from golden_model import case, differ, needs_golden

DEMO_DATA = Path(__file__).parents[3] / "demo_data"
SPACE = UnicycleAccelCurvatureActionSpace()
# The ridges pull speed and curvature to zero, a little: without them the inverse is exact where actions are smooth.
UNRIDGED = UnicycleAccelCurvatureActionSpace(v_ridge=1e-6, a_ridge=1e-7, kappa_ridge=1e-7)
_many = settings(max_examples=60)


def reference() -> tuple[UnicycleAccelCurvatureActionSpace, Drive, dict[str, torch.Tensor]]:
    arrays = case("2_action_space")
    space = UnicycleAccelCurvatureActionSpace(
        accel_mean=0.07, accel_std=0.85, curvature_mean=0.0004, curvature_std=0.03
    )
    return space, Drive(*(arrays[key] for key in ("hist_xyz", "hist_rot", "fut_xyz", "fut_rot"))), arrays


def round_trip(drive: Drive, space: UnicycleAccelCurvatureActionSpace = SPACE) -> torch.Tensor:
    """Return the distances (..., 64) in m of a future from what its actions drive."""
    action = space.traj_to_action(*drive.all)
    assert torch.isfinite(action).all()
    xyz, _ = space.action_to_traj(action, *drive.history)
    return (xyz - drive.fut_xyz)[..., :2].norm(dim=-1)


def travel_back(x: torch.Tensor) -> float:
    """Return how far positions (T,) along the road come back from the furthest point until then, in m."""
    return float((x.cummax(dim=-1).values - x).max())


@needs_golden
class TestReference:
    def test_roll_out(self):
        space, drive, arrays = reference()
        for suffix, states in (("", None), ("_v0_given", {"v": arrays["v0_given"]})):
            xyz, rot = space.action_to_traj(arrays["action_random"], *drive.history, t0_states=states)
            assert differ(xyz, arrays[f"xyz_from_random{suffix}"]) < 1e-4
            assert differ(rot, arrays[f"rot_from_random{suffix}"]) < 1e-5

    def test_speed_at_t0(self):
        space, drive, arrays = reference()
        assert differ(space.estimate_t0_states(*drive.history)["v"], arrays["v_t0"]) < 1e-4

    def test_inverse(self):
        space, drive, arrays = reference()
        action, states = space.traj_to_action(*drive.all, output_all_states=True)
        assert differ(action, arrays["action_from_fut"]) < 1e-3
        assert differ(states, arrays["states_from_fut"]) < 1e-3
        print(f"largest difference of normalised actions: {differ(action, arrays['action_from_fut']):.1e}")

    def test_group_dimension(self):
        space, drive, arrays = reference()
        action = space.traj_to_action(*(tensor[:, None] for tensor in drive.all))
        assert differ(action, arrays["action_from_fut_4d"]) < 1e-3

    def test_round_trip_and_its_bias(self):
        space, drive, arrays = reference()
        xyz, rot = space.action_to_traj(space.traj_to_action(*drive.all), *drive.history)
        assert differ(xyz, arrays["xyz_round_trip"]) < 1e-3
        assert differ(rot, arrays["rot_round_trip"]) < 1e-4
        off = (xyz - drive.fut_xyz)[..., :2].norm(dim=-1)
        assert off.max() <= 0.10
        print(
            f"bias of the round trip of noisy clips: mean {100 * off.mean():.1f} cm, largest {100 * off.max():.1f} cm"
        )

    def test_bounds(self):
        space, _, arrays = reference()
        factors = torch.tensor([1, 2, 3, 3.5, 4, 5, 8, 12])[:, None, None]
        assert torch.equal(space.is_within_bounds(arrays["action_random"] * factors), arrays["within_bounds_random"])


class TestRoundTrip:
    @_many
    @given(drives.straight())
    def test_straight(self, drive):
        assert round_trip(drive).max() <= 0.01

    @_many
    @given(drives.curves())
    def test_curves(self, drive):
        assert round_trip(drive).max() <= 0.01

    @_many
    @given(drives.stop_and_go())
    def test_stop_and_go(self, drive):
        assert round_trip(drive).max() <= 0.01

    @_many
    @given(drives.stops())
    def test_stops_without_rolling_back(self, drive):
        assert round_trip(drive).max() <= 0.01
        xyz, _ = SPACE.action_to_traj(SPACE.traj_to_action(*drive.all), *drive.history)
        assert travel_back(xyz[:, 0]) <= 0.01

    @_many
    @given(drives.sharp_turns())
    def test_sharp_turns(self, drive):
        """The ridge flattens them, by centimetres; without it the inverse is as exact as elsewhere."""
        assert round_trip(drive).max() <= 0.04
        assert round_trip(drive, UNRIDGED).max() <= 0.01

    @pytest.mark.parametrize(("v", "k"), [(5.0, 0.1), (3.0, 0.2), (1.0, 0.2), (10.0, 0.1)])
    def test_circles(self, v, k):
        drive = drives.drive(lambda t: 0 * t + v, lambda t: 0 * t + k)
        assert round_trip(drive).max() <= 0.04
        assert round_trip(drive, UNRIDGED).max() <= 0.01
        print(f"bias at {v} m/s on a radius of {1 / k:.0f} m: {100 * round_trip(drive).max():.1f} cm")


class TestStanding:
    @_many
    @given(st.integers(0, 10_000), st.sampled_from([0.002, 0.01, 0.02]))
    def test_noise_does_not_drive(self, seed, noise_m):
        drive = drives.standing(noise_m, noise_rad=0.001, seed=seed)
        action, states = SPACE.traj_to_action(*drive.all, output_all_states=True)
        assert SPACE.is_within_bounds(action)
        xyz, rot = SPACE.action_to_traj(action, *drive.history)
        recorded = torch.cat([drive.hist_xyz[-1:], drive.fut_xyz])[:, 0]
        assert xyz[:, :2].norm(dim=-1).max() <= 10 * noise_m  # it stays where it is
        assert travel_back(xyz[:, 0]) <= travel_back(recorded)  # no reverse driving that was not in the noise
        assert yaw_of(rot).abs().max() <= 0.01
        assert abs(float(states[:, 0].mean())) <= 2 * noise_m  # m/s

    def test_at_rest_all_is_zero(self):
        drive = drives.standing(0.0, 0.0, seed=0)
        action, states = SPACE.traj_to_action(*drive.all, output_all_states=True)
        assert not action.any()
        assert not states.any()


class TestWorld:
    @_many
    @given(
        drives.curves(),
        st.floats(-math.pi, math.pi),
        st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(-1e3, 1e3)),
    )
    def test_turning_and_moving_it_changes_nothing(self, drive, turn, move):
        xyz = torch.cat([drive.hist_xyz, drive.fut_xyz]).double()
        rot = torch.cat([drive.hist_rot, drive.fut_rot]).double()
        world = rot_of_yaw(torch.tensor(turn, dtype=torch.float64))
        moved = drives.from_poses(xyz @ world.T + torch.tensor(move, dtype=torch.float64), world @ rot)
        assert differ(SPACE.traj_to_action(*moved.all), SPACE.traj_to_action(*drive.all)) < 1e-3

    def test_more_than_a_turn_of_heading(self):
        drive = drives.drive(lambda t: 0 * t + 8.0, lambda t: 0 * t + 0.15)  # 7.7 rad
        action, states = SPACE.traj_to_action(*drive.all, output_all_states=True)
        assert states[-1, 2] > 2 * math.pi
        assert (action[:, 1] - 0.15).abs().max() < 1e-3


class TestRealDrives:
    """Boreas records a camera's poses: in turns it moves sideways, up to 2.4 m in a future, which no unicycle does."""

    @pytest.fixture
    def motions(self) -> list[EgoMotion]:
        dataset = open_dataset("boreas", str(DEMO_DATA / "boreas"))
        loader = TrajectoryLoader(dataset)
        clips = [clip.result for group in dataset.discover().groups for clip in loader.load(group)]
        return [motion for motion in clips if isinstance(motion, EgoMotion)]

    def test_recorded_but_for_what_moves_sideways(self, motions):
        poses = [(torch.from_numpy(ego.xyz), rot_of_quat(torch.from_numpy(ego.quat))) for ego in motions]
        drive = self.futures(poses)
        xyz, _ = SPACE.action_to_traj(SPACE.traj_to_action(*drive.all), *drive.history)
        off = (drive.fut_xyz - xyz)[..., :2]
        self.check("as recorded, but for sideways motion", (off - self.sideways(drive)).norm(dim=-1))

    def test_driven(self, motions):
        """Real speeds and headings, of a vehicle that moves where it points to."""
        poses = []
        for ego in motions:
            heading = torch.from_numpy(ego.heading)
            forward = torch.stack([heading.cos(), heading.sin(), torch.zeros_like(heading)], dim=-1)
            velocity = forward * torch.from_numpy(ego.longitudinal_speed)[:, None]
            moves = (velocity[1:] + velocity[:-1]) / 2 * drives.DT
            poses.append((torch.cat([torch.zeros(1, 3), moves.cumsum(dim=0)]), rot_of_yaw(heading)))
        drive = self.futures(poses)
        self.check("as driven", round_trip(drive))
        action, states = SPACE.traj_to_action(*drive.all, output_all_states=True)
        assert SPACE.is_within_bounds(action).float().mean() > 0.99  # turns of 4.3 m radius are beyond the bounds
        assert states[..., 0].min() > -0.1

    def check(self, name: str, off: torch.Tensor) -> None:
        worst = off.flatten(0, 1).amax(dim=-1)
        print(
            f"round trip of {len(off)} real futures {name}: mean {100 * off.mean():.2f} cm, largest in 99 of 100 "
            f"{100 * worst.quantile(0.99):.1f} cm, in all {100 * worst.max():.1f} cm"
        )
        assert len(off) > 500
        assert off.mean() <= 0.005
        assert worst.quantile(0.99) <= 0.05
        assert worst.max() <= 0.15  # pulling out of standstill into a sharp turn

    def futures(self, poses: list[tuple[torch.Tensor, torch.Tensor]]) -> Drive:
        """Return drives every 2 s as one batch (N, 1, ...)."""
        steps = HISTORY + FUTURE
        found = [
            drives.from_poses(xyz[start : start + steps], rot[start : start + steps])
            for xyz, rot in poses
            for start in range(0, len(xyz) - steps + 1, 20)
        ]
        return Drive(*(torch.stack([getattr(drive, name) for drive in found])[:, None] for name in vars(found[0])))

    def sideways(self, drive: Drive) -> torch.Tensor:
        """Return the sum (..., 64, 2) in m of each step's part across the heading."""
        moves = torch.cat([drive.hist_xyz[..., -1:, :2], drive.fut_xyz[..., :2]], dim=-2).diff(dim=-2)
        yaw = unwrap(yaw_of(torch.cat([drive.hist_rot[..., -1:, :, :], drive.fut_rot], dim=-3)))
        middle = (yaw[..., 1:] + yaw[..., :-1]) / 2
        across = torch.stack([-middle.sin(), middle.cos()], dim=-1)
        return ((moves * across).sum(dim=-1, keepdim=True) * across).cumsum(dim=-2)


class TestBatches:
    def test_each_row_for_itself(self):
        rows = [drives.standing(0.01, 0.001, 1), drives.drive(lambda t: 0 * t + 9, lambda t: 0.02 * t)]
        batch = Drive(*(torch.stack([getattr(row, name) for row in rows]) for name in vars(rows[0])))
        for row, action in zip(rows, SPACE.traj_to_action(*batch.all), strict=True):
            assert differ(SPACE.traj_to_action(*row.all), action) < 1e-4

    def test_other_float_types_are_computed_in_float32(self):
        drive = drives.drive(lambda t: 0 * t + 9, lambda t: 0 * t + 0.02)
        action = SPACE.traj_to_action(*(tensor.double() for tensor in drive.all))
        assert action.dtype == torch.float32
        assert differ(action, SPACE.traj_to_action(*drive.all)) < 1e-6
        xyz, _ = SPACE.action_to_traj(action.bfloat16(), *drive.history)
        assert xyz.dtype == torch.float32

    def test_a_model_in_half_precision_keeps_its_means(self):
        space = UnicycleAccelCurvatureActionSpace(curvature_mean=0.0004).to(torch.bfloat16)
        assert space.curvature_mean.item() == pytest.approx(0.0004, rel=1e-6)
        assert list(space.state_dict()) == ["accel_mean", "accel_std", "curvature_mean", "curvature_std"]

    def test_autocast_changes_nothing(self):
        drive = drives.drive(lambda t: 0 * t + 9, lambda t: 0 * t + 0.02)
        plain = SPACE.traj_to_action(*drive.all)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(SPACE.traj_to_action(*drive.all), plain)
            assert SPACE.action_to_traj(plain, *drive.history)[0].dtype == torch.float32

    def test_what_is_kept_between_calls_serves_training_too(self):
        smoothing._matrix.cache_clear()
        smoothing._factor.cache_clear()
        drive = drives.drive(lambda t: 0 * t + 9, lambda t: 0 * t + 0.02)
        with torch.inference_mode():
            SPACE.traj_to_action(*drive.all)
        fut_xyz = drive.fut_xyz.clone().requires_grad_()
        SPACE.traj_to_action(*drive.history, fut_xyz, drive.fut_rot).sum().backward()
        assert torch.isfinite(fut_xyz.grad).all()

    def test_height_stays_that_of_t0(self):
        drive = drives.drive(lambda t: 0 * t + 9, lambda t: 0 * t)
        raised = drive.hist_xyz + torch.tensor([0.0, 0.0, 1.5])
        xyz, _ = SPACE.action_to_traj(torch.zeros(64, 2), raised, drive.hist_rot)
        assert (xyz[:, 2] == 1.5).all()


class TestBadInput:
    DRIVE = drives.drive(lambda t: 0 * t + 9, lambda t: 0 * t + 0.02)

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            ("hist_xyz", lambda x: x.long(), r"history positions: expected floating-point numbers, found torch\.int64"),
            ("hist_xyz", lambda x: x[..., :2], r"history positions: .* \(\.\.\., T, 3\), found \(16, 2\)"),
            ("hist_rot", lambda x: x[1:], r"as many rotations as positions, found positions \(16, 3\)"),
            ("fut_xyz", lambda x: x.numpy(), r"future positions: expected a tensor \(\.\.\., 64, 3\), found ndarray"),
            ("fut_rot", lambda x: x[..., 0], r"future rotations: .* found \(64, 3\)"),
            ("fut_xyz", lambda x: x.index_fill(0, torch.tensor([7]), math.nan), r"found nan at \[7, 0\]"),
            ("fut_rot", lambda x: x / 0, r"future rotations: expected finite numbers, found inf|nan at \[0, 0, 0\]"),
        ],
    )
    def test_tensors(self, name, change, message):
        bad = replace(self.DRIVE, **{name: change(getattr(self.DRIVE, name))})
        with pytest.raises(AlpamayoError, match=message):
            SPACE.traj_to_action(*bad.all)

    def test_lengths(self):
        hist_xyz, hist_rot, fut_xyz, fut_rot = self.DRIVE.all
        with pytest.raises(AlpamayoError, match="history: expected at least 4 poses, found 3: it is too short"):
            SPACE.estimate_t0_states(hist_xyz[:3], hist_rot[:3])
        with pytest.raises(AlpamayoError, match="future: expected 64 poses, found 63"):
            SPACE.traj_to_action(hist_xyz, hist_rot, fut_xyz[1:], fut_rot[1:])
        with pytest.raises(AlpamayoError, match=r"future: expected the leading dimensions of the history, \(2,\)"):
            SPACE.traj_to_action(hist_xyz.expand(2, -1, -1), hist_rot.expand(2, -1, -1, -1), fut_xyz, fut_rot)

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            (torch.zeros(64, 3), r"action: expected the shape \(\.\.\., 64, 2\), found \(64, 3\)"),
            (torch.zeros(63, 2), r"found \(63, 2\)"),
            (torch.zeros(64, 2, dtype=torch.int64), "floating-point"),
            (torch.full((64, 2), math.nan), r"action: expected finite numbers, found nan at \[0, 0\]"),
            (torch.zeros(5, 64, 2), r"leading dimensions of the history, \(\), found \(5, 64, 2\)"),
        ],
    )
    def test_actions(self, action, message):
        with pytest.raises(AlpamayoError, match=message):
            SPACE.action_to_traj(action, *self.DRIVE.history)

    @pytest.mark.parametrize(
        ("states", "message"),
        [
            ({}, r'expected "v", the speed at t0 in m/s, found \[\]'),
            ({"v": torch.zeros(3)}, r"expected the shape \(\), found \(3,\)"),
            ({"v": torch.tensor(math.inf)}, "found inf"),
            ({"v": torch.tensor(3)}, "floating-point"),
        ],
    )
    def test_states(self, states, message):
        with pytest.raises(AlpamayoError, match=message):
            SPACE.action_to_traj(torch.zeros(64, 2), *self.DRIVE.history, t0_states=states)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"accel_std": 0.0}, "accel_std: expected a positive number, found 0.0"),
            ({"dt": -0.1}, "dt: expected a positive number"),
            ({"n_waypoints": 3}, "n_waypoints: expected at least 4, found 3"),
            ({"curvature_bounds": (0.2, -0.2)}, "curvature_bounds"),
        ],
    )
    def test_configuration(self, options, message):
        with pytest.raises(AlpamayoError, match=message):
            UnicycleAccelCurvatureActionSpace(**options)
