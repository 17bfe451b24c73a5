"""Where points on the road appear in a camera's picture, for cameras whose lens is known well enough by their name.

Clips come without calibration. The front wide camera of the Physical AI rig has its field of view in its name; its
place is that of such cameras in general. So a projected path is a guide for the eye: no pixel is to be measured in it.
"""

from dataclasses import dataclass

import numpy as np

from driving_clips.geometry import Floats


@dataclass(frozen=True)
class NominalCamera:
    """A camera that looks straight ahead, level, with an equidistant ("f-theta") lens: r = f * angle from the axis.

    Attributes:
        view_rad: horizontal field of view.
        ahead_m: of the rear axle.
        height_m: above the road.
    """

    view_rad: float
    ahead_m: float
    height_m: float

    def pixels(self, xyz: Floats, width: int, height: int) -> Floats:
        """Return points (N, 3) of the ego frame in m as pixels (N, 2) of a picture; NaN for those not in view.

        Example:
            >>> NominalCamera(2.0, 0.0, 1.0).pixels(np.array([[10.0, 0.0, 1.0]]), 640, 360).tolist()
            [[320.0, 180.0]]
        """
        ahead = xyz[:, 0] - self.ahead_m
        right, down = -xyz[:, 1], self.height_m - xyz[:, 2]
        across = np.hypot(right, down)
        angle = np.arctan2(across, ahead)
        focal = width / self.view_rad
        scale = np.where(across > 1e-9, focal * angle / np.maximum(across, 1e-9), 0.0)
        placed: Floats = np.stack([width / 2 + right * scale, height / 2 + down * scale], axis=1)
        placed[(angle > self.view_rad / 2) | (ahead <= 0.0)] = np.nan
        return placed


# The height of a windscreen camera of a car, and its distance from the rear axle.
NOMINAL_CAMERAS = {"camera_front_wide_120fov": NominalCamera(np.deg2rad(120.0), ahead_m=1.7, height_m=1.45)}

# Datasets that give another camera under that name, with another lens.
OTHER_LENSES = frozenset({"comma2k19"})
