"""Cleaning one axis of one clip: segments that are too short go to their neighbours. Times are seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from meta_action.names import LATERAL, LONGITUDINAL
from meta_action.signals import DT_SEC

Segment = tuple[float, float, str]  # start s, duration s, name


@dataclass
class _Piece:
    """A segment while it is being cleaned."""

    start: float
    duration: float
    name: str


_MIN_SEC = {LONGITUDINAL: 8 * DT_SEC, LATERAL: 10 * DT_SEC}
_MIN_SEC_OF_NAME = {"maintain_speed": 12 * DT_SEC}


def clean(segments: Sequence[Segment], axis: str) -> list[Segment]:
    """Join neighbours of one name, give segments that are too short to their neighbours, and join again."""
    shortest = _MIN_SEC[axis]
    work = [_Piece(*segment) for segment in _joined(segments)]
    i = 0
    while i < len(work):
        piece = work[i]
        before = work[i - 1] if i > 0 else None
        after = work[i + 1] if i + 1 < len(work) else None
        if piece.duration >= _MIN_SEC_OF_NAME.get(piece.name, shortest) or (before is None and after is None):
            i += 1
        elif before is not None and after is not None and before.name == after.name:
            before.duration = before.duration + piece.duration + after.duration
            del work[i : i + 2]
            i = max(i - 1, 0)
        else:
            _share(piece, before, after)
            del work[i]
    return _joined([(piece.start, piece.duration, piece.name) for piece in work])


def _share(short: _Piece, before: _Piece | None, after: _Piece | None) -> None:
    """Give a short segment to its only neighbour, or half of it to each."""
    if before is not None and after is not None:
        half = short.duration / 2
        before.duration += half
        after.start -= half
        after.duration += half
    elif before is not None:
        before.duration += short.duration
    elif after is not None:
        after.start = short.start
        after.duration += short.duration


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    joined: list[Segment] = []
    for start, duration, name in segments:
        if joined and joined[-1][2] == name:
            first, so_far, _ = joined[-1]
            joined[-1] = (first, so_far + duration, name)
        else:
            joined.append((start, duration, name))
    return joined
