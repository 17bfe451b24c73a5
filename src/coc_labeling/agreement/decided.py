"""What one side decided at which moments, as columns: a run, or later people. Some 100 bytes a label."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coc_labeling.errors import CocLabelingError
from coc_labeling.schema import (
    UNOBSERVED,
    Category,
    CoCLabel,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    Relation,
    Side,
)

NONE = "none"
NO_TRACK = 0


class Channel(StrEnum):
    """The two channels of decisions."""

    LONGITUDINAL = "longitudinal"
    LATERAL = "lateral"


# What the numbers in ``Decided`` stand for; 0 is no decision, no direction.
DECISIONS: dict[Channel, tuple[str, ...]] = {
    Channel.LONGITUDINAL: (NONE, *LongitudinalDecision),
    Channel.LATERAL: (NONE, *LateralDecision),
}
DIRECTIONS: tuple[str, ...] = (NONE, *Side)
CAUSES: tuple[str, ...] = tuple(
    str(category) if relation is None else f"{category}:{relation}"
    for category, relation in product(Category, (None, *Relation))
)
_NUMBER = {name: number for names in (*DECISIONS.values(), DIRECTIONS, CAUSES) for number, name in enumerate(names)}


class State(IntEnum):
    """What there is at a moment."""

    DECIDED = 0
    WITHOUT_DECISIONS = 1  # a sentence alone, as other tools write
    ABSTAINED = 2
    UNREADABLE = 3

    @property
    def title(self) -> str:
        """Return it in words."""
        return ("decided", "a sentence without decisions", "abstained", "unreadable")[self]


@dataclass(frozen=True)
class Causes:
    """The causes of one channel's decisions; those of label i are ``start[i]`` to ``start[i + 1]``.

    Attributes:
        start: (N + 1,).
        kind: (M,) numbers of ``CAUSES``; ``unobserved`` is no cause and is left out.
        track: (M,) a number made of the track id, ``NO_TRACK`` where a cause has none. Good for one process only.
    """

    start: NDArray[np.int64]
    kind: NDArray[np.int16]
    track: NDArray[np.int64]

    def names(self, row: int) -> list[str]:
        """Return the kinds of causes of a label; ``unobserved`` alone where it names none."""
        found = [CAUSES[kind] for kind in self.kind[self.start[row] : self.start[row + 1]]]
        return found or [UNOBSERVED]


@dataclass(frozen=True)
class Decided:
    """N moments of one side, each at most once.

    Attributes:
        clips: the clip ids that ``clip`` counts.
        clip: (N,) numbers of ``clips``.
        t_us: (N,) keyframes, us on the clip clock.
        state: (N,) of ``State``.
        decision: (N,) numbers of ``DECISIONS``, by channel.
        direction: (N,) numbers of ``DIRECTIONS``, of the lateral decision.
        causes: by channel.
    """

    clips: Sequence[str]
    clip: NDArray[np.int64]
    t_us: NDArray[np.int64]
    state: NDArray[np.int8]
    decision: dict[Channel, NDArray[np.int8]]
    direction: NDArray[np.int8]
    causes: dict[Channel, Causes]

    def __len__(self) -> int:
        return len(self.t_us)

    def moment(self, row: int) -> tuple[str, int]:
        """Return clip id and keyframe (us) of a row."""
        return self.clips[self.clip[row]], int(self.t_us[row])

    def lateral_with_direction(self) -> NDArray[np.int64]:
        """Return (N,) numbers of ``LATERAL_WITH_DIRECTION``."""
        return self.decision[Channel.LATERAL].astype(np.int64) * len(DIRECTIONS) + self.direction


LATERAL_WITH_DIRECTION = tuple(
    decision if side == NONE else f"{decision} {side}"
    for decision, side in product(DECISIONS[Channel.LATERAL], DIRECTIONS)
)


class AgreementSide(Protocol):
    """One of the two that are compared. A run is one; people's decisions on a run's labels can be another.

    Attributes:
        name: how it is called in tables.
    """

    @property
    def name(self) -> str:
        """How it is called in tables."""

    def about(self) -> dict[str, Any]:
        """Return where it comes from, for files."""

    def decided(self) -> tuple[Decided, list[str]]:
        """Return all its moments, and notices on what could not be used; raises CocLabelingError for none at all."""

    def sentences(self, moments: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return the sentences of a few moments (clip id, us), as far as there are any."""


# Types of ``array``: 8 bytes and 1 byte.
_COLUMNS = {"clip": "q", "t_us": "q", "state": "b", "longitudinal": "b", "lateral": "b", "direction": "b"}


@dataclass
class DecidedBuilder:
    """Collects labels one after another into columns."""

    _number_of_clip: dict[str, int] = field(default_factory=dict)
    _columns: dict[str, array] = field(
        default_factory=lambda: {name: array(kind) for name, kind in _COLUMNS.items()},
    )
    _causes: dict[Channel, tuple[array, array, array]] = field(
        default_factory=lambda: {channel: (array("q", [0]), array("h"), array("q")) for channel in Channel}
    )

    def add(self, clip_id: str, t_us: int, label: CoCLabel | None) -> None:
        """Add what was decided at a moment; None for a label that cannot be read."""
        columns = self._columns
        columns["clip"].append(self._number_of_clip.setdefault(clip_id, len(self._number_of_clip)))
        columns["t_us"].append(t_us)
        columns["state"].append(_state(label))
        for channel, own in zip(Channel, _channels(label), strict=True):
            columns[channel].append(0 if own is None else _NUMBER[own.decision])
            self._add_causes(channel, own, label)
        side = label.lateral.direction if label is not None and label.lateral is not None else None
        columns["direction"].append(0 if side is None else _NUMBER[side])

    def _add_causes(self, channel: Channel, own: Longitudinal | Lateral | None, label: CoCLabel | None) -> None:
        starts, kinds, tracks = self._causes[channel]
        cited = own.cause_ids if own is not None else ()
        for component in label.components if label is not None and cited else ():
            if component.id in cited:
                kind = (
                    component.category if component.relation is None else f"{component.category}:{component.relation}"
                )
                kinds.append(_NUMBER[kind])
                tracks.append(NO_TRACK if component.track_id is None else hash(component.track_id) or 1)
        starts.append(len(kinds))

    def build(self, name: str) -> Decided:
        """Return the columns.

        Raises:
            CocLabelingError: a moment was added twice; the message begins with ``name``.
        """
        done = {key: np.array(column) for key, column in self._columns.items()}
        decided = Decided(
            tuple(self._number_of_clip),
            done["clip"],
            done["t_us"],
            done["state"],
            {channel: done[channel] for channel in Channel},
            done["direction"],
            {channel: Causes(*(np.array(part) for part in parts)) for channel, parts in self._causes.items()},
        )
        _refuse_repeats(decided, name)
        return decided


def _channels(label: CoCLabel | None) -> tuple[Longitudinal | None, Lateral | None]:
    return (None, None) if label is None else (label.longitudinal, label.lateral)


def _state(label: CoCLabel | None) -> State:
    if label is None:
        return State.UNREADABLE
    if label.abstention is not None:
        return State.ABSTAINED
    return State.WITHOUT_DECISIONS if label.longitudinal is None and label.lateral is None else State.DECIDED


def _refuse_repeats(decided: Decided, name: str) -> None:
    order = np.lexsort((decided.t_us, decided.clip))
    clip, t_us = decided.clip[order], decided.t_us[order]
    repeated = np.flatnonzero((clip[1:] == clip[:-1]) & (t_us[1:] == t_us[:-1]))
    if len(repeated):
        clip_id, moment = decided.moment(int(order[repeated[0]]))
        raise CocLabelingError(
            f"{name}: clip {clip_id} has two labels at {moment} us; expected one a moment. Run coc merge on the folder."
        )
