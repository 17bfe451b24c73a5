"""Faults of the data: ticks at which ego motion cannot be what a car did."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from coc_labeling.curate.rules import Mask, Thresholds
from coc_labeling.curate.surroundings import Surroundings
from driving_clips.ego_motion import TICK_SEC, TICK_US, EgoMotion

Ticks = NDArray[np.bool_]


def faulty_ticks(ego: EgoMotion, others: Surroundings | None, limits: Thresholds) -> Mapping[Mask, Ticks]:
    """Return the ticks (T,) of each fault.

    Args:
        ego: the clip's motion.
        others: the road users around it; None where there are no tracks: who stops for nobody cannot be told then.
        limits: what is still trusted.
    """
    stops = _impossible_stops(ego, limits)
    if others is not None:
        stops = stops | _lonely_stop(ego, others, limits)
    return {Mask.JUMP: _jumps(ego, limits), Mask.SPEED: _out_of_range(ego, limits), Mask.STOP: stops}


def _jumps(ego: EgoMotion, limits: Thresholds) -> Ticks:
    """Say where position, speed or heading differ from the tick before by more than a car moves; both ticks count."""
    step = np.diff(ego.xyz[:, :2], axis=0)
    stated = (ego.velocity[1:, :2] + ego.velocity[:-1, :2]) / 2 * TICK_SEC
    off = np.hypot(*(step - stated).T) > limits.jump_m
    off |= np.abs(np.diff(ego.speed)) > limits.jump_mps
    turned = (np.diff(ego.heading) + np.pi) % (2 * np.pi) - np.pi
    off |= np.abs(turned) > limits.jump_rad
    ticks = np.zeros(len(ego), dtype=np.bool_)
    ticks[1:] |= off
    ticks[:-1] |= off
    return ticks


def _out_of_range(ego: EgoMotion, limits: Thresholds) -> Ticks:
    along = ego.longitudinal_speed
    too_fast: Ticks = (ego.speed > limits.fastest_mps) | (along < -limits.fastest_backwards_mps)
    return too_fast


def _impossible_stops(ego: EgoMotion, limits: Thresholds) -> Ticks:
    """Say where ego begins to stand, braking harder than any car over the time before."""
    speed = ego.speed
    ticks = round(limits.change_sec / TICK_SEC)
    before = np.concatenate([np.full(ticks, 0.0), speed[:-ticks]])[: len(speed)]
    stops: Ticks = (speed <= limits.standing_mps) & (before > limits.hardest_mps2 * limits.change_sec)
    return stops


def _lonely_stop(ego: EgoMotion, others: Surroundings, limits: Thresholds) -> Ticks:
    """Say where ego stands to the clip's end although others are measured all the time, and all of them far away."""
    ticks = np.zeros(len(ego), dtype=np.bool_)
    moving = np.flatnonzero(ego.speed > limits.standing_mps)
    first = int(moving[-1]) + 1 if len(moving) else 0
    long_enough = (len(ego) - 1 - first) * TICK_SEC >= limits.stop_sec
    if not long_enough or not (ego.speed[:first] >= limits.stop_from_mps).any():
        return ticks
    start_us, end_us = (ego.first_tick + first) * TICK_US, (ego.first_tick + len(ego) - 1) * TICK_US
    watched = others.all_around and others.watched(start_us, end_us, limits.observed_sec)
    if watched and not others.near(start_us, end_us, limits.stop_clear_m):
        ticks[first:] = True
    return ticks
