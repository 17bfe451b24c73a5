"""Between trajectories and the actions that the expert predicts: acceleration and curvature of a unicycle."""

from alpamayo_r1.action_space.action_space import ActionSpace
from alpamayo_r1.action_space.discrete_action_space import DiscreteTrajectoryTokenizer
from alpamayo_r1.action_space.unicycle_accel_curvature import UnicycleAccelCurvatureActionSpace

__all__ = ["ActionSpace", "DiscreteTrajectoryTokenizer", "UnicycleAccelCurvatureActionSpace"]
