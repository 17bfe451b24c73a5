"""Colours that people with any colour vision can tell apart (Okabe and Ito's, lighter and darker where needed).

Left is blue, right is orange, speeding up is green, slowing down is purple, keeping on is grey; strong and sharp
actions are the darker form of gentle ones.
"""

INK, MUTED, GRID, PAPER = "#1b2530", "#5d6b79", "#e3e8ed", "#ffffff"
LEFT, LEFT_SOFT = "#0072b2", "#8cc4e8"
RIGHT, RIGHT_SOFT = "#d55e00", "#f5b97f"
FASTER, FASTER_SOFT = "#00805e", "#7fd0b5"
SLOWER, SLOWER_SOFT = "#a2417f", "#e0a9cb"
STEADY, STANDING = "#d3dae0", "#5d6b79"
REVERSE = "#e6d94a"
LEAD, LEAD_SOFT = "#b3003c", "#f3c6d3"
UNKNOWN = "#b7a7d8"
SUPPORTED, CONTRADICTED, UNSEEN = FASTER, RIGHT, STEADY

_ACTIONS = {
    "gentle_acceleration": FASTER_SOFT,
    "strong_acceleration": FASTER,
    "gentle_deceleration": SLOWER_SOFT,
    "strong_deceleration": SLOWER,
    "maintain_speed": STEADY,
    "stop": STANDING,
    "reverse": REVERSE,
    "go_straight": STEADY,
    "keep_lane": STEADY,
}
_RISKS = {
    "low": FASTER_SOFT,
    "medium": RIGHT_SOFT,
    "high": RIGHT,
    "unverified": UNKNOWN,
    "unreadable": STANDING,
    "abstained": STEADY,
}
_STRONG = ("sharp_steer", "turn", "left_lane_change", "right_lane_change", "reverse_")
_DARK = frozenset({LEFT, RIGHT, FASTER, SLOWER, STANDING, LEAD})


def action_colour(name: str) -> str:
    """Return the colour of a meta-action."""
    if name in _ACTIONS:
        return _ACTIONS[name]
    strong = name.startswith(_STRONG)
    if "left" in name:
        return LEFT if strong else LEFT_SOFT
    if "right" in name:
        return RIGHT if strong else RIGHT_SOFT
    return UNKNOWN


def ink_on(colour: str) -> str:
    """Return the colour of text that can be read on ``colour``."""
    return PAPER if colour in _DARK else INK


def side_colour(side: str | None) -> str:
    """Return the colour of a direction, grey for none."""
    return {"left": LEFT, "right": RIGHT}.get(side or "", MUTED)


def risk_colour(status: str) -> str:
    """Return the colour of what a label is worth by its checks."""
    return _RISKS.get(status, UNKNOWN)
