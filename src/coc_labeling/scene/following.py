"""Road users as leads: their numbers against ego's, and which deceleration they call for."""

import numpy as np

from coc_labeling.scene.roles import Lead
from coc_labeling.scene.tracks import EGO_FRONT_M
from coc_labeling.scene.users import SPEED_TICKS, RoadUsers
from driving_clips.ego_motion import TICK_SEC

# The intelligent driver model (Treiber, Hennecke, Helbing 2000, table 1 of arXiv cond-mat/0002177), for a brisk driver.
GAP_M, HEADWAY_SEC, ACCELERATION_MPS2, DECELERATION_MPS2 = 2.0, 1.2, 1.5, 2.0
LEAST_GAP_M = 0.5
AWAY_MPS, AWAY_SEC = 5.0, 1.0  # who is so much faster has drawn away before ego can act
MOVES_MPS = 0.1  # a slower ego reaches nobody


def as_lead(users: RoadUsers, n: int, row: int, ego_mps: float) -> Lead:
    """Return road user ``n`` at a row as a lead of an ego of that speed."""
    speed, distance = float(users.along[n, row]), float(users.near[n, row])
    ago = max((k for k in SPEED_TICKS if row >= k and np.isfinite(users.along[n, row - k])), default=0)
    change = (speed - float(users.along[n, row - ago])) / (ago * TICK_SEC) if ago else 0.0
    return Lead(
        track_id=str(users.tracks.track_id[n]),
        label_class=str(users.tracks.label_class[n]),
        distance_m=distance,
        speed_mps=speed,
        closing_mps=ego_mps - speed,
        acceleration_mps2=change,
        time_gap_sec=distance / ego_mps if ego_mps > MOVES_MPS else float("inf"),
    )


def gap_m(lead: Lead) -> float:
    """Return the free space between ego's front and a lead, in m, never quite nothing."""
    return max(lead.distance_m - EGO_FRONT_M, LEAST_GAP_M)


def follow_mps2(lead: Lead, speed_mps: float) -> float:
    """Return the deceleration that a lead calls for in the intelligent driver model, against an empty road."""
    closing = speed_mps * lead.closing_mps / (2 * np.sqrt(ACCELERATION_MPS2 * DECELERATION_MPS2))
    wanted = GAP_M + max(0.0, HEADWAY_SEC * speed_mps + closing)
    gap = gap_m(lead) + (AWAY_SEC * -lead.closing_mps if lead.closing_mps < -AWAY_MPS else 0.0)
    return float(ACCELERATION_MPS2 * (wanted / gap) ** 2)


def avoid_mps2(lead: Lead) -> float:
    """Return the deceleration without which ego would run into a lead that goes on as it does."""
    return float(max(lead.closing_mps, 0.0) ** 2 / (2 * gap_m(lead)))
