"""From signals to named segments of an axis: states, cutting, naming.

Each axis is a set of boolean states, one per threshold. Their tuple, packed into a byte per tick, is what a
timeline is cut by. Segments of a whole batch are named at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meta_action.signals import DT_SEC, Floats, Signals

HYSTERESIS = 0.15
FORWARD_MPS, BACKWARD_MPS = 0.3, -0.3
LATERAL_BACKWARD_MPS = -0.1
ACCEL_THRESHOLDS = (0.1, -0.1, 1.25, -1.25)  # m/s^2
TURN_RATE_THRESHOLDS = (0.001, -0.001, 0.05, -0.05)  # rad/m
# Names of segments: longitudinal by mean speeds, change of speed and mean acceleration,
STANDING_MPS, CHANGE_MPS, GENTLE_MPS2, STRONG_MPS2 = 0.12, 0.8, 0.15, 1.4
# lateral by change of heading (rad) and turn rate (rad/m).
STEER_RAD, SHARP_RAD, STEER_RATE, REVERSE_RATE, SHARP_RATE = 0.015, 0.2, 0.0015, 0.002, 0.05
SETTLE_TICKS = 3  # after a cut the next one is at least this far


@dataclass(frozen=True)
class Segments:
    """Segments of one axis in a batch of clips, by clip and time.

    Attributes:
        clip: (S,) row of the clip in the batch.
        start: (S,) first tick.
        end: (S,) the tick after the last.
        name: (S,) the meta-action's name, once known.
    """

    clip: NDArray[np.intp]
    start: NDArray[np.intp]
    end: NDArray[np.intp]
    name: Sequence[str] = ()

    def named(self, rules: Sequence[tuple[str, NDArray[np.bool_]]], otherwise: str) -> "Segments":
        """Name each segment by the first rule (name, where it holds) that holds for it."""
        names = [*(name for name, _ in rules), otherwise]
        index = np.select([holds for _, holds in rules], list(range(len(rules))), default=len(rules))
        return Segments(self.clip, self.start, self.end, [names[i] for i in index.tolist()])


def longitudinal_segments(signals: Signals) -> Segments:
    """Cut and name the longitudinal axis of a batch."""
    states = [signals.speed_along >= FORWARD_MPS, signals.speed_along >= BACKWARD_MPS]
    states += [_with_hysteresis(signals.accel_smooth, threshold) for threshold in ACCEL_THRESHOLDS]
    ticks = signals.speed.shape[1]
    segments = _cut_batch(states)
    end = np.minimum(segments.end, ticks - 1)  # the last tick ends the clip
    segments = Segments(segments.clip, segments.start, end)

    length = segments.end - segments.start
    change = signals.speed[segments.clip, segments.end] - signals.speed[segments.clip, segments.start]
    accel = change / (length * DT_SEC)
    along = _sums(signals.speed_along, segments) / length
    speed = _sums(signals.speed, segments) / length
    faster, slower = change >= CHANGE_MPS, change <= -CHANGE_MPS
    return segments.named(
        [
            ("reverse", along <= -STANDING_MPS),
            ("stop", speed <= STANDING_MPS),
            ("strong_acceleration", (accel >= STRONG_MPS2) & faster),
            ("gentle_acceleration", (accel >= GENTLE_MPS2) & (accel <= STRONG_MPS2) & faster),
            ("strong_deceleration", (accel <= -STRONG_MPS2) & slower),
            ("gentle_deceleration", (accel >= -STRONG_MPS2) & (accel <= -GENTLE_MPS2) & slower),
        ],
        otherwise="maintain_speed",
    )


def lateral_segments(signals: Signals) -> Segments:
    """Cut and name the lateral axis of a batch; left is positive."""
    states = [signals.speed_along[:, :-1] >= LATERAL_BACKWARD_MPS]
    states += [signals.turn_rate >= threshold for threshold in TURN_RATE_THRESHOLDS]
    segments = _cut_batch(states)

    along = _sums(signals.speed_along, segments) / (segments.end - segments.start)
    turned = _sums(signals.heading_step, segments)
    distance = _sums(signals.step, segments)
    moved = distance > 1e-6
    rate = np.where(moved, turned / np.where(moved, distance, 1.0), 0.0)
    backwards = along <= LATERAL_BACKWARD_MPS
    return segments.named(
        [
            ("reverse_right", backwards & (rate <= -REVERSE_RATE) & (turned <= -SHARP_RAD)),
            ("reverse_left", backwards & (rate >= REVERSE_RATE) & (turned >= SHARP_RAD)),
            ("sharp_steer_right", (rate <= -SHARP_RATE) & (turned <= -SHARP_RAD)),
            ("sharp_steer_left", (rate >= SHARP_RATE) & (turned >= SHARP_RAD)),
            ("steer_right", (rate <= -STEER_RATE) & (turned <= -STEER_RAD)),
            ("steer_left", (rate >= STEER_RATE) & (turned >= STEER_RAD)),
        ],
        otherwise="go_straight",
    )


def _with_hysteresis(values: Floats, threshold: float) -> NDArray[np.bool_]:
    """Return the state (B, T) that switches on a bit above the threshold and off a bit below it."""
    outer, inner = threshold * (1 + HYSTERESIS), threshold * (1 - HYSTERESIS)
    on_at, off_at = (outer, inner) if threshold >= 0 else (inner, outer)
    on = values >= on_at
    decided = on | (values < off_at)
    on[:, 0] = values[:, 0] >= threshold
    decided[:, 0] = True
    latest = np.maximum.accumulate(np.where(decided, np.arange(values.shape[1]), 0), axis=1)
    return np.take_along_axis(on, latest, axis=1)


def _cut_batch(states: Sequence[NDArray[np.bool_]]) -> Segments:
    """Cut every clip of a batch by its states, (B, N) each."""
    clips, ticks = states[0].shape
    packed = np.zeros((clips, ticks), dtype=np.uint8)
    for bit, state in enumerate(states):
        packed |= state.astype(np.uint8) << bit
    starts = [cut(row.tobytes()) for row in packed]
    counts = [len(s) for s in starts]
    start = np.array([tick for s in starts for tick in s], dtype=np.intp)
    end = np.array([tick for s in starts for tick in (*s[1:], ticks)], dtype=np.intp)
    return Segments(np.repeat(np.arange(clips), counts), start, end)


def cut(states: bytes) -> list[int]:
    """Return the first ticks of one clip's segments from its packed states, a byte a tick.

    A cut is where the states differ from those at the segment's start; right after it they may settle for
    three ticks, and in the last three there is none.
    """
    starts = [0]
    current = states[0]
    last = len(states) - SETTLE_TICKS - 1
    tick = 1
    while tick <= last:
        if states[tick] == current:
            tick += 1
            continue
        starts.append(tick)
        current = states[tick]
        tick += SETTLE_TICKS
    return starts


def _sums(values: Floats, segments: Segments) -> Floats:
    """Sum ``values`` (B, N) over each segment, in the order of additions that summing its slice alone has.

    Labels hang on the last bit where a mean meets a threshold, so no cumulative sums: segments of one length
    are gathered and summed together.
    """
    total = np.empty(len(segments.start))
    length = segments.end - segments.start
    flat = values.ravel()
    first = segments.clip * values.shape[1] + segments.start
    order = np.argsort(length, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(length[order])) + 1):
        ticks = np.arange(length[members[0]])
        total[members] = np.add.reduce(flat[first[members, None] + ticks], axis=1)
    return total
