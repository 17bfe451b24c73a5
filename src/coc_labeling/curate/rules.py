"""What curation calls a rare, sparse or empty scene, a fault of the data, and how much of each is kept: all numbers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.errors import CocLabelingError


class Scene(StrEnum):
    """What a moment shows; the first that holds."""

    RARE = "rare"
    EMPTY = "empty"
    SPARSE = "sparse"
    STANDARD = "standard"
    UNKNOWN = "unknown"  # not rare, and others were not measured


class RareReason(StrEnum):
    """Why a moment is rare."""

    ACTION = "rare_action"
    BRAKING = "hard_braking"
    CORNERING = "hard_cornering"
    NEAR_PATH = "vulnerable_near_path"


class Mask(StrEnum):
    """Why the data of a moment cannot be trusted."""

    JUMP = "localisation_jump"
    SPEED = "speed_out_of_range"
    STOP = "unjustified_stop"


RARE_ACTIONS = frozenset(
    {"strong_deceleration", "reverse", "reverse_left", "reverse_right", "left_lane_change", "right_lane_change"}
)
# A class of obstacles that is hurt, or hurts, where ego meets it.
VULNERABLE = frozenset({"person", "stroller", "rider", "animal", "protruding_object"})


@dataclass(frozen=True)
class Thresholds:
    """Where scenes and faults begin. Lengths in m, speeds in m/s, times in s.

    Attributes:
        history_sec: what a moment's window shows before it; that of the label windows.
        future_sec: the same after it.
        near_m: road users within this distance of ego count.
        sparse_most: so many of them in a window are still few.
        braking_mps2: over ``change_sec``; what adaptive cruise control may brake with (ISO 15622).
        cornering_mps2: lateral acceleration over ``change_sec``, about twice what passengers find comfortable.
        change_sec: over which accelerations are taken.
        path_m: from ego's rear axle to a vulnerable road user, where ego drives ``path_sec`` later at most.
        path_sec: how far ahead on its path ego meets others.
        observed_sec: others are measured at a moment if a box lies so close to it.
        jump_m: between two ticks the path may differ so much from what the stated velocity gives.
        jump_mps: between two ticks the speed may change so much: 20 m/s^2, twice what tyres can.
        jump_rad: between two ticks the heading may turn so much.
        fastest_mps: 216 km/h.
        fastest_backwards_mps: the same in reverse gear.
        standing_mps: slower is standing, as for the meta-action stop.
        hardest_mps2: no car brakes harder to a stand.
        stop_sec: a stop without anyone lasts at least so long, to the clip's end.
        stop_from_mps: and ego drove so fast before it.
        stop_clear_m: and nobody was so near.
    """

    history_sec: float = 2.0
    future_sec: float = 6.0
    near_m: float = 50.0
    sparse_most: int = 2
    braking_mps2: float = 3.5
    cornering_mps2: float = 4.0
    change_sec: float = 0.5
    path_m: float = 2.5
    path_sec: float = 5.0
    observed_sec: float = 0.5
    jump_m: float = 0.5
    jump_mps: float = 2.0
    jump_rad: float = 0.3
    fastest_mps: float = 60.0
    fastest_backwards_mps: float = 8.0
    standing_mps: float = 0.12
    hardest_mps2: float = 11.0
    stop_sec: float = 4.0
    stop_from_mps: float = 2.0
    stop_clear_m: float = 40.0


THRESHOLDS = Thresholds()
KEEP_RATES: Mapping[Scene, float] = {
    Scene.RARE: 1.0,
    Scene.STANDARD: 1.0,
    Scene.SPARSE: 0.5,
    Scene.EMPTY: 0.1,
    Scene.UNKNOWN: 1.0,
}
_RATE = re.compile(r"([a-z]{1,20})=([0-9.]{1,20})")


def parse_keep_rates(entries: Iterable[str]) -> dict[Scene, float]:
    """Return the share kept of each scene: the defaults, changed by ``scene=rate`` entries.

    Raises:
        CocLabelingError: no such scene, or no rate from 0 to 1.

    Example:
        >>> parse_keep_rates(["empty=0"])[Scene.EMPTY]
        0.0
    """
    rates = dict(KEEP_RATES)
    for entry in entries:
        match = _RATE.fullmatch(entry.strip())
        rate = _number(match[2]) if match else None
        if match is None or match[1] not in set(Scene) or rate is None:
            raise CocLabelingError(
                f"--keep {entry!r}: expected SCENE=RATE with a scene of {', '.join(Scene)} and a rate from 0 to 1, "
                "such as sparse=0.5."
            )
        rates[Scene(match[1])] = rate
    return rates


def _number(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if 0 <= rate <= 1 else None


def parse_masks(names: Iterable[str]) -> frozenset[Mask]:
    """Return the faults that names stand for; raises CocLabelingError for others."""
    chosen = list(names)
    unknown = [name for name in chosen if name not in set(Mask)]
    if unknown:
        raise CocLabelingError(f"--allow {unknown[0]!r}: expected one of {', '.join(Mask)}.")
    return frozenset(Mask(name) for name in chosen)
