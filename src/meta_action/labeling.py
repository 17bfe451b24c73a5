"""Step 1 in memory: trajectories in, spans out."""

from collections.abc import Sequence

import numpy as np

from driving_clips.ego_motion import EgoMotion
from meta_action.cleaning import Segment, clean
from meta_action.names import LATERAL, LONGITUDINAL
from meta_action.segments import Segments, lateral_segments, longitudinal_segments
from meta_action.signals import DT_SEC, Floats, compute_signals
from meta_action.timeline import Span


def label_motions(motions: Sequence[EgoMotion]) -> list[list[Span]]:
    """Return the spans of each clip, longitudinal then lateral, by time; Stop silences the lateral axis.

    Clips of one length are computed together. A clip that begins late is computed from its first tick as if
    that were tick 0, and its spans are then moved by that tick's number.
    """
    by_length: dict[int, list[int]] = {}
    for i, motion in enumerate(motions):
        by_length.setdefault(len(motion), []).append(i)
    labelled: list[list[Span]] = [[] for _ in motions]
    for members in by_length.values():
        stacked = np.stack([_columns(motions[i]) for i in members], axis=1)
        for i, spans in zip(members, label_trajectories(*stacked), strict=True):
            first = motions[i].first_tick
            labelled[i] = [Span(a, n, s + first, e + first) for a, n, s, e in spans] if first else spans
    return labelled


def label_trajectories(x: Floats, y: Floats, heading: Floats, vx: Floats, vy: Floats) -> list[list[Span]]:
    """Return the spans of B clips of T ticks from (B, T) m, rad and m/s in one fixed frame a clip."""
    signals = compute_signals(x, y, heading, vx, vy)
    clips = len(x)
    driven = _by_clip(longitudinal_segments(signals), clips)
    steered = _by_clip(lateral_segments(signals), clips)
    return [_label_one(driven[clip], steered[clip]) for clip in range(clips)]


def _columns(motion: EgoMotion) -> Floats:
    return np.stack([motion.xyz[:, 0], motion.xyz[:, 1], motion.heading, motion.velocity[:, 0], motion.velocity[:, 1]])


def _by_clip(segments: Segments, clips: int) -> list[list[Segment]]:
    """Return each clip's segments as (start s, duration s, name)."""
    rows: list[list[Segment]] = [[] for _ in range(clips)]
    starts = segments.start * DT_SEC
    durations = (segments.end - segments.start) * DT_SEC
    for clip, start, duration, name in zip(
        segments.clip.tolist(), starts.tolist(), durations.tolist(), segments.name, strict=True
    ):
        rows[clip].append((start, duration, name))
    return rows


def _label_one(driven: Sequence[Segment], steered: Sequence[Segment]) -> list[Span]:
    spans = _spans(clean(driven, LONGITUDINAL), LONGITUDINAL)
    stops = [span for span in spans if span.name == "stop"]
    return spans + _subtract(_spans(clean(steered, LATERAL), LATERAL), stops)


def _spans(segments: Sequence[Segment], axis: str) -> list[Span]:
    spans = []
    for start, duration, name in segments:
        first, end = round(start / DT_SEC), round((start + duration) / DT_SEC)
        if end > first:
            spans.append(Span(axis, name, first, end))
    return spans


def _subtract(spans: Sequence[Span], silences: Sequence[Span]) -> list[Span]:
    """Return what is left of ``spans`` outside ``silences``."""
    rest = list(spans)
    for silence in silences:
        kept = []
        for span in rest:
            if span.end <= silence.start or span.start >= silence.end:
                kept.append(span)
                continue
            if span.start < silence.start:
                kept.append(span._replace(end=silence.start))
            if span.end > silence.end:
                kept.append(span._replace(start=silence.end))
        rest = kept
    return rest
