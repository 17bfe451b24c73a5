"""Tracks of one road user each: cut where an id was given to another one, and refused where ids mean nothing."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coc_labeling.scene.boxes import Boxes, UnreliableTracksError, listed
from driving_clips.geometry import Floats

BRIDGED_US = 500_000  # a hole in a track of up to this long is bridged
SPEED_US, SPEED_MIN_US = 1_000_000, 300_000  # the history that a road user's own motion is measured over
LEAST_BOXES = 3  # a shorter part has no speed, and is left out
JUMP_MPS = 70.0  # no road user is faster than that: its id was given to another one
JUMP_M = 3.0  # less than that is noise of the tracker
STRAY_M, STRAY_US = 1.5, 300_000  # nor does one leave its own course by so much in so short a time
STRAY_ROUNDS = 20  # cuts of one id, one after the other
SWAP_US = 100_000  # two that take each other's place do so within a frame
MOST_NAMED_SWAPS = 200  # jumps among which swaps are looked for
MOST_PARTS, MANY_JUMPS = 5, 50  # parts per id, where there are many jumps
MOST_SHORT = 0.5  # share of the boxes in parts that are too short
GAPS_WORTH_SAYING = 0.2  # share of tracks


@dataclass(frozen=True)
class WholeTracks:
    """Boxes in tracks of one road user each, M of N.

    Attributes:
        boxes: a part of an id counts as a track.
        velocity: (M, 2) m/s over the second before; NaN where its track is younger than 0.3 s or has fewer than three
            boxes there.
    """

    boxes: Boxes
    velocity: Floats


def whole_tracks(boxes: Boxes, said: list[str]) -> WholeTracks:
    """Return boxes in tracks that are one road user's each, equal times left out; add what is wrong to ``said``.

    Raises:
        UnreliableTracksError: the ids do not follow road users, or no track is long enough to have a speed.
    """
    again = (np.diff(boxes.track, prepend=-1) == 0) & (np.diff(boxes.t_us, prepend=-1) == 0)
    boxes = boxes.select(~again)
    jumps, velocity = _jumps(boxes)
    part = _numbered(boxes, jumps)
    long = np.bincount(part)[part] >= LEAST_BOXES
    if (~long).mean() > MOST_SHORT or _means_nothing(boxes, jumps):
        raise UnreliableTracksError(
            f"track ids cannot be relied on: {len(boxes.first)} ids jump {int(jumps.sum())} times, and "
            f"{int((~long).sum())} of {len(boxes)} boxes are in pieces of fewer than {LEAST_BOXES}. Nothing is claimed "
            "about others; an id must stay with one road user"
        )
    if not np.isfinite(velocity).any():
        raise UnreliableTracksError(
            f"no track has {LEAST_BOXES} boxes within a second, so that nobody's speed is known. Nothing is claimed "
            "about others"
        )
    if jumps.any():
        said.append(_jump_problem(boxes, jumps, velocity))
    names = boxes.track_id[boxes.track[np.flatnonzero(np.diff(part, prepend=-1))]]
    cut = replace(boxes, track=part, track_id=names).select(long)
    kept, number = np.unique(cut.track, return_inverse=True)
    cut = replace(cut, track=number.astype(np.int64), track_id=names[kept])
    said += _hole_problems(cut)
    return WholeTracks(cut, velocity[long])


def _means_nothing(boxes: Boxes, jumps: NDArray[np.bool_]) -> bool:
    """Say whether ids jump too often to follow anybody."""
    return bool(jumps.sum() > max(MANY_JUMPS, (MOST_PARTS - 1) * len(boxes.first)))


def _numbered(boxes: Boxes, jumps: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of the part that each box is in (M,); a jump (M - 1,) starts another one."""
    starts = (boxes.track[1:] != boxes.track[:-1]) | jumps
    return np.concatenate([[0], np.cumsum(starts)]).astype(np.int64)


def _jumps(boxes: Boxes) -> tuple[NDArray[np.bool_], Floats]:
    """Return after which boxes an id goes on with another road user (M - 1,), and the velocities of what is left."""
    step, seconds = np.diff(boxes.xy, axis=0), np.maximum(np.diff(boxes.t_us), 1) / 1e6
    same = boxes.track[1:] == boxes.track[:-1]
    jumps: NDArray[np.bool_] = same & (np.hypot(*step.T) > np.maximum(JUMP_M, JUMP_MPS * seconds))
    soon = same & (seconds <= STRAY_US / 1e6)
    for _ in range(STRAY_ROUNDS):
        part = _numbered(boxes, jumps)
        velocity = _velocities(part, boxes.t_us, boxes.xy)
        off = np.hypot(*(step - velocity[:-1] * seconds[:, None]).T)
        strays = np.flatnonzero(soon & ~jumps & (off > STRAY_M))
        if not len(strays) or _means_nothing(boxes, jumps):
            break
        # A part's first one only: what follows is measured against the course of whom it jumped to.
        jumps[strays[np.diff(part[strays], prepend=-1) > 0]] = True
    return jumps, velocity


def _velocities(part: NDArray[np.int64], t_us: NDArray[np.int64], xy: Floats) -> Floats:
    """Return each box's velocity over the second before it (M, 2)."""
    width = int(t_us.max() - t_us.min()) + SPEED_US + 1
    keys = part * width + (t_us - t_us.min())
    back = np.searchsorted(keys, keys - SPEED_US, side="left")  # the first box within the second
    back = np.maximum(back, np.searchsorted(part, part, side="left"))
    spent = t_us - t_us[back]
    enough = (spent >= SPEED_MIN_US) & (np.arange(len(t_us)) - back >= LEAST_BOXES - 1)
    moved = xy - xy[back]
    velocity: Floats = np.where(enough[:, None], moved / np.maximum(spent, 1)[:, None] * 1e6, np.nan)
    return velocity


def _jump_problem(boxes: Boxes, jumps: NDArray[np.bool_], velocity: Floats) -> str:
    """Say which ids jump, and which of them swap their road users."""
    rows = np.flatnonzero(jumps)
    swaps = _swaps(boxes, rows, velocity) if len(rows) <= MOST_NAMED_SWAPS else []
    text = f"track {listed(sorted(set(boxes.track_id[boxes.track[rows]].tolist())))} jumps: "
    if swaps:
        first, second, t_us = swaps[0]
        more = f" (the first of {len(swaps)} swaps)" if len(swaps) > 1 else ""
        text += f"{listed([first])} and {listed([second])} swap places at {t_us / 1e6:.1f} s{more}; "
    return f"{text}the id seems to have been given to another road user; each part counts as a track of its own"


def _swaps(boxes: Boxes, rows: NDArray[np.intp], velocity: Floats) -> list[tuple[str, str, int]]:
    """Return the pairs of ids that jump onto each other's place at the same time, and when."""
    t_us, to = boxes.t_us[rows + 1], boxes.xy[rows + 1]
    late = (t_us[:, None] - boxes.t_us[rows][None, :]) / 1e6
    expected = (
        boxes.xy[rows] + np.nan_to_num(velocity[rows]) * late[..., None]
    )  # of who jumps (column), when it is seen
    onto = np.hypot(*(to[:, None, :] - expected).T).T <= STRAY_M
    pairs = onto & onto.T & (np.abs(t_us[:, None] - t_us[None, :]) <= SWAP_US)
    pairs &= boxes.track[rows][:, None] < boxes.track[rows][None, :]
    names = boxes.track_id[boxes.track[rows]].tolist()
    return [(names[i], names[j], int(t_us[i])) for i, j in zip(*np.nonzero(pairs), strict=True)]


def _hole_problems(boxes: Boxes) -> list[str]:
    """Say where many tracks have holes that are not bridged."""
    gaps = np.diff(boxes.t_us)
    holes = (gaps > BRIDGED_US) & (boxes.track[1:] == boxes.track[:-1])
    with_holes, tracks = len(np.unique(boxes.track[1:][holes])), len(boxes.track_id)
    if with_holes <= GAPS_WORTH_SAYING * tracks:
        return []
    return [
        f"{with_holes} of {tracks} tracks have holes over {BRIDGED_US / 1e6} s, up to {gaps[holes].max() / 1e6:.1f} s; "
        "nothing is claimed about what happened in them"
    ]
