"""The truth as a table: a row per keyframe."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.traffic.clips import Clip, Tracks
from benchmarks.traffic.motion import Floats
from benchmarks.traffic.scenes import Cause
from benchmarks.traffic.truth import Truth
from coc_labeling.schema import LongitudinalDecision, Side
from driving_clips.ego_motion import TICK_US

BEND_RAD = 0.15  # of ego's heading up to the clip's end
_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
_CAUSE = pa.struct(
    [
        ("category", _TEXT),
        ("relation", _TEXT),
        ("side", _TEXT),
        ("track_id", _TEXT),
        ("what", _TEXT),
        ("shown", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    [
        ("clip_id", _TEXT),
        ("t_us", pa.int64()),
        ("family", _TEXT),
        ("seed", pa.int32()),
        ("speed", pa.float64()),
        ("stands", pa.bool_()),
        ("stops", pa.bool_()),
        ("longitudinal", _TEXT),
        ("accepted", _TEXTS),
        ("causes", pa.list_(_CAUSE)),
        ("shown_by_tracks", pa.bool_()),
        ("ambiguous", _TEXT),
        ("lateral", _TEXT),
        ("direction", _TEXT),
        ("lateral_accepted", _TEXTS),
        ("lateral_causes", pa.list_(_CAUSE)),
        ("lateral_ambiguous", _TEXT),
        ("lead", _TEXT),
        ("lead_gap_m", pa.float64()),
        ("has_lead", pa.bool_()),
        ("clear_ahead", pa.bool_()),
        ("weak", pa.bool_()),
        ("changes_lane", _TEXT),
        ("later", _CAUSE),
        ("ego", _TEXT),
    ]
)


def row(clip: Clip, tick: int, truth: Truth, tracks: Tracks, yaw: Floats) -> dict[str, Any]:
    """Return one moment's row; road users by their track ids in the clip, ``yaw`` is ego's at the clip's ticks."""
    turned = yaw[tick:] - yaw[tick]
    bends = {Side.LEFT: float(turned.max()), Side.RIGHT: float(-turned.min())}
    causes = [_cause(cause, tracks, tick, bends) for cause in truth.causes]
    return {
        "clip_id": clip.clip_id,
        "t_us": tick * TICK_US,
        "family": clip.family,
        "seed": clip.seed,
        "speed": truth.speed,
        "stands": truth.stands,
        "stops": truth.stops,
        "longitudinal": str(truth.longitudinal),
        "accepted": [str(decision) for decision in truth.accepted],
        "causes": causes,
        "shown_by_tracks": _counts(truth) and all(cause["shown"] for cause in causes),
        "ambiguous": truth.ambiguous,
        "lateral": str(truth.lateral),
        "direction": None if truth.direction is None else str(truth.direction),
        "lateral_accepted": [f"{d}:{side}" if side else str(d) for d, side in dict.fromkeys(truth.lateral_accepted)],
        "lateral_causes": [_cause(cause, tracks, tick, bends) for cause in truth.lateral_causes],
        "lateral_ambiguous": truth.lateral_ambiguous,
        "lead": tracks.ids.get(truth.lead or ""),
        "lead_gap_m": truth.lead_gap_m,
        "has_lead": truth.lead is not None,
        "clear_ahead": truth.clear_ahead,
        "weak": truth.weak,
        "changes_lane": None if truth.changes_lane is None else str(truth.changes_lane),
        "later": _cause(truth.later, tracks, tick, bends) if truth.later else None,
        "ego": clip.ego,
    }


def _counts(truth: Truth) -> bool:
    """Whether the cause must be told: not where speaking of the wanted speed alone is right as well."""
    alone = truth.longitudinal is LongitudinalDecision.TRACK_SPEED or LongitudinalDecision.TRACK_SPEED in truth.accepted
    return bool(truth.causes) and not truth.weak and not alone


def _cause(cause: Cause, tracks: Tracks, tick: int, bends: Mapping[Side, float]) -> dict[str, Any]:
    track = tracks.ids.get(cause.track or "")
    return {
        "category": str(cause.category),
        "relation": None if cause.relation is None else str(cause.relation),
        "side": None if cause.side is None else str(cause.side),
        "track_id": track,
        "what": cause.what,
        "shown": cause.shown_by_tracks and _is_shown(cause, tracks, tick, bends),
    }


def _is_shown(cause: Cause, tracks: Tracks, tick: int, bends: Mapping[Side, float]) -> bool:
    """Say whether the clip shows a cause: a road user in sight by then, a bend that ego drives before the clip ends."""
    if cause.track is not None:
        return tracks.seen(cause.track, tick)
    return max(bends.values()) >= BEND_RAD if cause.side is None else bends[cause.side] >= BEND_RAD


def write(rows: list[dict[str, Any]], path: Path) -> pa.Table:
    """Write the table and return it."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, path)
    return table


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def summary(table: pa.Table) -> str:
    """Return counts by decision and cause, as text."""
    rows = table.to_pylist()
    unclear = [r for r in rows if r["ambiguous"]]
    lines = [f"{len({r['clip_id'] for r in rows})} clips, {len(rows)} keyframes, {len(unclear)} with unclear cause"]
    clear = [r for r in rows if not r["ambiguous"]]
    lines.append(f"{sum(r['weak'] for r in clear)} where the cause is heeded so little that two decisions are accepted")
    speed = Counter((r["longitudinal"], _name(r["causes"])) for r in clear)
    lane = Counter((r["lateral"], r["direction"] or "", _name(r["lateral_causes"])) for r in rows)
    lines += [f"  {count:5}  {decision:12} {cause}" for (decision, cause), count in sorted(speed.items())]
    lines += [f"  {count:5}  {decision:18} {side:6} {cause}" for (decision, side, cause), count in sorted(lane.items())]
    lines += [f"  {count:5}  unclear: {why}" for why, count in Counter(r["ambiguous"] for r in unclear).most_common(12)]
    return "\n".join(lines)


def _name(causes: list[dict[str, Any]]) -> str:
    return f"{causes[0]['category']}:{causes[0]['relation'] or ''} {causes[0]['what']}" if causes else "-"
