"""Cleaning one axis of one clip: segments that are too short go to their neighbours. Times are seconds."""

from collections.abc import Sequence

from meta_action.names import LATERAL, LONGITUDINAL
from meta_action.signals import DT_SEC

Segment = tuple[float, float, str]  # start s, duration s, name

_MIN_SEC = {LONGITUDINAL: 8 * DT_SEC, LATERAL: 10 * DT_SEC}
_MIN_SEC_OF_NAME = {"maintain_speed": 12 * DT_SEC}


def clean(segments: Sequence[Segment], axis: str) -> list[Segment]:
    """Join neighbours of one name, give segments that are too short to their neighbours, and join again."""
    shortest = _MIN_SEC[axis]
    work = [list(segment) for segment in _joined(segments)]
    i = 0
    while i < len(work):
        _, duration, name = work[i]
        before = work[i - 1] if i > 0 else None
        after = work[i + 1] if i + 1 < len(work) else None
        if duration >= _MIN_SEC_OF_NAME.get(name, shortest) or (before is None and after is None):
            i += 1
        elif before is not None and after is not None and before[2] == after[2]:
            before[1] = before[1] + duration + after[1]
            del work[i : i + 2]
            i = max(i - 1, 0)
        else:
            _share(work[i], before, after)
            del work[i]
    return _joined([(start, duration, name) for start, duration, name in work])


def _share(short: list, before: list | None, after: list | None) -> None:
    """Give a short segment to its only neighbour, or half of it to each."""
    duration = short[1]
    if before is not None and after is not None:
        half = duration / 2
        before[1] += half
        after[0] -= half
        after[1] += half
    elif before is not None:
        before[1] += duration
    elif after is not None:
        after[0] = short[0]
        after[1] += duration


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    joined: list[Segment] = []
    for start, duration, name in segments:
        if joined and joined[-1][2] == name:
            first, so_far, _ = joined[-1]
            joined[-1] = (first, so_far + duration, name)
        else:
            joined.append((start, duration, name))
    return joined
