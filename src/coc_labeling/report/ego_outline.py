"""How ego is drawn: the same in the report, in pictures and in recordings."""

import numpy as np

from driving_clips.geometry import Floats

# A middling car: no dataset says how large ego is, nor where in it the pose is measured (the rear axle, or a camera).
EGO_LENGTH_M, EGO_WIDTH_M, EGO_REAR_M = 4.6, 1.9, 1.1


def ego_outline() -> Floats:
    """Return ego's outline (5, 2) with a pointed front, m to the right and ahead of its reference point."""
    half, front = EGO_WIDTH_M / 2, EGO_LENGTH_M - EGO_REAR_M
    shoulder = front - half * 0.9
    return np.array([[-half, -EGO_REAR_M], [half, -EGO_REAR_M], [half, shoulder], [0.0, front], [-half, shoulder]])
