"""The meta-actions: their names on the command line, in files, and their axes."""

from collections.abc import Iterable
from dataclasses import dataclass

from meta_action.errors import MetaActionError

LONGITUDINAL, LATERAL, LANE = AXES = ("longitudinal", "lateral", "lane")
ALL_EGO = "all_ego"


@dataclass(frozen=True)
class MetaAction:
    """One meta-action: ``name`` on the command line and in keyframes, ``file_name`` in the text files."""

    name: str
    file_name: str
    axis: str


def _actions(axis: str, names: str) -> list[MetaAction]:
    camel = {"keep_lane": "LaneKeep"}
    return [MetaAction(n, camel.get(n) or "".join(w.title() for w in n.split("_")), axis) for n in names.split()]


# In the order of the command line, which is the order of the raw results.
META_ACTIONS: tuple[MetaAction, ...] = (
    *_actions(
        LONGITUDINAL,
        "gentle_acceleration strong_acceleration gentle_deceleration strong_deceleration maintain_speed stop reverse",
    ),
    *_actions(
        LATERAL, "reverse_right reverse_left steer_right steer_left sharp_steer_right sharp_steer_left go_straight"
    ),
    *_actions(
        LANE,
        "keep_lane left_lane_change right_lane_change slightly_shift_left slightly_shift_right turn_left turn_right",
    ),
    *_actions(LANE, "follow_curve_left follow_curve_right"),  # known, never produced by all_ego
)
BY_NAME: dict[str, MetaAction] = {action.name: action for action in META_ACTIONS}
RANK: dict[str, int] = {action.name: i for i, action in enumerate(META_ACTIONS)}
EGO_NAMES = tuple(action.name for action in META_ACTIONS if action.axis != LANE)

# What older files say; readers accept it.
ALIASES = {
    "KeepSpeed": "maintain_speed",
    "Wait": "stop",
    "Accelerate": "strong_acceleration",
    "Decelerate": "strong_deceleration",
    "Straight": "go_straight",
    "KeepLane": "keep_lane",
    "LaneKeep": "keep_lane",
    "LeftTurn": "turn_left",
    "RightTurn": "turn_right",
}
BY_FILE_NAME: dict[str, MetaAction] = {action.file_name: action for action in META_ACTIONS} | {
    alias: BY_NAME[name] for alias, name in ALIASES.items()
}

# Mirroring a trajectory left-right swaps these and nothing else.
MIRRORED = {name: name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in BY_NAME}


def parse_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the meta-actions that ``names`` (or old aliases of them) select, in the order given, each once.

    ``all_ego`` stands for all names on the longitudinal and lateral axes, in their own order.

    Raises:
        MetaActionError: an unknown name; the message lists the legal ones.
    """
    chosen: dict[str, None] = {}
    unknown = []
    for name in names:
        if name == ALL_EGO:
            chosen.update(dict.fromkeys(EGO_NAMES))
        elif name in BY_NAME or name in BY_FILE_NAME:
            chosen[name if name in BY_NAME else BY_FILE_NAME[name].name] = None
        else:
            unknown.append(name)
    if unknown:
        raise MetaActionError(
            f"unknown meta-action name{'s' if len(unknown) > 1 else ''}: {', '.join(map(repr, unknown))}. "
            f"Legal names: {ALL_EGO}, {', '.join(BY_NAME)}."
        )
    if not chosen:
        raise MetaActionError(f"no meta-action name given. Legal names: {ALL_EGO}, {', '.join(BY_NAME)}.")
    return tuple(chosen)
