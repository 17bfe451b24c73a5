"""What was there, what is kept, what was dropped and why: counts, and a table for people."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from coc_labeling.curate.choosing import Fate
from coc_labeling.curate.rules import Scene

_FATES = tuple(str(fate) for fate in Fate)


def count(moments: pa.Table, keep_rates: Mapping[Scene, float]) -> dict[str, Any]:
    """Return the counts of a table of moments (MOMENTS_SCHEMA), by fate in each of its parts."""
    fates = Counter(moments.column("fate").to_pylist())
    return {
        "moments": {"there": moments.num_rows, **{fate: fates[fate] for fate in _FATES}},
        "clips": {"there": _distinct(moments), "kept": _distinct(_kept(moments))},
        "without_tracks": moments.filter(pc.is_valid(moments.column("scene"))).column("road_users").null_count,
        "scenes": {
            str(scene): {"keep_rate": keep_rates[scene], **counts}
            for scene, counts in _by(moments, "scene", order=[str(scene) for scene in Scene]).items()
        },
        "rare_for": _listed(moments, "rare"),
        "masked_for": _listed(moments, "masks"),
        "unreadable_for": dict(sorted(Counter(_texts(moments, "unreadable")).items())),
        "decisions": _by(moments, "meta_action"),
        "countries": _by(moments, "country"),
        "day_parts": _by(moments, "day_part"),
    }


def _kept(moments: pa.Table) -> pa.Table:
    return moments.filter(pc.equal(moments.column("fate"), str(Fate.KEPT)))


def _distinct(moments: pa.Table) -> int:
    distinct: int = pc.count_distinct(moments.column("clip_id")).as_py()
    return distinct


def _texts(moments: pa.Table, column: str) -> Iterator[str]:
    return (text for text in moments.column(column).to_pylist() if text is not None)


def _listed(moments: pa.Table, column: str) -> dict[str, int]:
    """Count the entries of a column of lists: a moment may have several."""
    return dict(sorted(Counter(pc.list_flatten(moments.column(column)).to_pylist()).items()))


def _by(moments: pa.Table, column: str, order: Iterable[str] | None = None) -> dict[Any, dict[str, int]]:
    """Count moments by the values of a column, each with how many there were of each fate."""
    pairs = Counter(zip(moments.column(column).to_pylist(), moments.column("fate").to_pylist(), strict=True))
    there = {value for value, _ in pairs if value is not None}
    values = sorted(there) if order is None else list(order)
    return {
        value: {"there": sum(pairs[value, fate] for fate in _FATES), **{fate: pairs[value, fate] for fate in _FATES}}
        for value in values
    }


def table(counts: Mapping[str, Any]) -> list[str]:
    """Return the counts as lines of text."""
    total = counts["moments"]
    clips = counts["clips"]
    lines = [
        f"{total['there']} moments of {clips['there']} clips; kept {total['kept']} of {clips['kept']} clips",
        "",
        _head("scene") + f"{'rate':>8}",
    ]
    lines += [_line(name, own) + f"{own['keep_rate']:>8g}" for name, own in counts["scenes"].items() if own["there"]]
    for title, key in (("decision", "decisions"), ("country", "countries"), ("part of the day", "day_parts")):
        lines += ["", _head(title), *(_line(name, own) for name, own in counts[key].items())]
    lines += ["", _head("all"), _line("", total)]
    for title, key in (("rare for", "rare_for"), ("masked for", "masked_for"), ("unreadable for", "unreadable_for")):
        lines += _reasons(title, counts[key])
    if counts["without_tracks"]:
        lines += [
            "",
            f"others were not measured at {counts['without_tracks']} moments: sparse and empty cannot be told",
        ]
    return lines


def _reasons(title: str, counts: Mapping[str, int]) -> list[str]:
    return ["", title, *(f"  {reason:<24}{number:>9}" for reason, number in counts.items())] if counts else []


def _head(title: str) -> str:
    return f"{title:<26}" + "".join(_cell(name.replace("_", " ")) for name in ("there", *_FATES))


def _line(name: str, counts: Mapping[str, int]) -> str:
    return f"  {name[:23]:<24}" + "".join(_cell(str(counts[fate])) for fate in ("there", *_FATES))


_cell: Callable[[str], str] = "{:>12}".format
