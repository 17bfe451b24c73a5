"""Which deceleration a vehicle ahead calls for."""

import numpy as np

from coc_labeling.scene.roles import Lead
from coc_labeling.scene.tracks import EGO_FRONT_M

# The intelligent driver model (Treiber, Hennecke, Helbing 2000, table 1 of arXiv cond-mat/0002177), for a brisk driver.
GAP_M, HEADWAY_SEC, ACCELERATION_MPS2, DECELERATION_MPS2 = 2.0, 1.2, 1.5, 2.0
LEAST_GAP_M = 0.5


def follow_mps2(lead: Lead, speed_mps: float) -> float:
    """Return the deceleration that a lead calls for in the intelligent driver model, against an empty road."""
    gap = max(lead.distance_m - EGO_FRONT_M, LEAST_GAP_M)
    closing = speed_mps * lead.closing_mps / (2 * np.sqrt(ACCELERATION_MPS2 * DECELERATION_MPS2))
    wanted = GAP_M + max(0.0, HEADWAY_SEC * speed_mps + closing)
    return float(ACCELERATION_MPS2 * (wanted / gap) ** 2)
