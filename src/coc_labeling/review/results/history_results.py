"""What reviewers said of components while they knew the history alone: which are there, and which a label lacks.

A label lacks a component that somebody listed where none of its own has the same category and relation, and the same
side as far as both name one. Descriptions are not compared, nor how many of a kind there are.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from coc_labeling.review.batches.planning import Kind
from coc_labeling.review.results.planted_results import Share
from coc_labeling.review.store import ReviewStore


@dataclass(frozen=True)
class HistoryResults:
    """Phase one of some tasks.

    Attributes:
        confirmed: components of labels that are there and matter.
        struck: those that are not, or do not.
        added: what was added to a list that showed the label's.
        blank_lists: lists that began with nothing.
        listed: components on them.
        omitted: those of them that the label lacks.
    """

    confirmed: int = 0
    struck: int = 0
    added: int = 0
    blank_lists: int = 0
    listed: int = 0
    omitted: int = 0

    def __add__(self, other: "HistoryResults") -> "HistoryResults":
        """Return both together."""
        return HistoryResults(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def struck_share(self) -> Share:
        """Components that were struck, of those shown."""
        return Share(self.struck, self.confirmed + self.struck)

    @property
    def omission_share(self) -> Share:
        """Components that labels lack, of those that people listed from nothing."""
        return Share(self.omitted, self.listed)


HistoryOf = dict[tuple[str, Kind], HistoryResults]
PLANTED = (Kind.PLANTED_GOOD, Kind.PLANTED_BAD)
KindOfComponent = tuple[str, str | None, str | None]  # category, relation, side


def history_results(store: ReviewStore) -> HistoryOf:
    """Return phase one by reviewer and kind of task, planted labels among them."""
    blank: dict[tuple[str, Kind], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in store.database.rows(_BLANK):
        listed = _kinds(row["added"])
        for place, count in enumerate((1, len(listed), len(omissions(listed, _kinds(row["components"]))))):
            blank[row["reviewer"], Kind(row["kind"])][place] += count
    shown = {
        (row["reviewer"], Kind(row["kind"])): (row["confirmed"], row["struck"], row["added"])
        for row in store.database.rows(_SHOWN)
    }
    return {key: HistoryResults(*shown.get(key, (0, 0, 0)), *blank.get(key, (0, 0, 0))) for key in shown | blank}


def total(
    found: HistoryOf, reviewer: str | None = None, kind: Kind | None = None, *, planted: bool = False
) -> HistoryResults:
    """Return phase one of one reviewer, or of one kind of task, or of all; of planted labels only where asked for."""
    chosen = (
        results
        for (name, of_kind), results in found.items()
        if reviewer in (None, name) and kind in (None, of_kind) and (planted or of_kind not in PLANTED)
    )
    return sum(chosen, HistoryResults())


def omissions(listed: Iterable[KindOfComponent], own: Iterable[KindOfComponent]) -> list[KindOfComponent]:
    """Return what was listed and is not among a label's own components.

    Example:
        >>> omissions([("critical_object", "lead", None), ("lane", None, "left")], [("lane", None, "right")])
        [('critical_object', 'lead', None), ('lane', None, 'left')]
    """
    own = set(own)
    return [one for one in listed if not any(_same_kind(one, other) for other in own)]


def _same_kind(one: KindOfComponent, other: KindOfComponent) -> bool:
    return one[:2] == other[:2] and (one[2] == other[2] or None in (one[2], other[2]))


def _kinds(components: str | None) -> list[KindOfComponent]:
    """Return the kinds of components given as JSON; they were checked when they came in."""
    return [(one["category"], one.get("relation"), one.get("side")) for one in json.loads(components or "[]")]


_SHOWN = """
    SELECT t.reviewer, t.kind,
        coalesce(sum(json_array_length(e.content, '$.confirmed')), 0) AS confirmed,
        coalesce(sum(json_array_length(e.content, '$.struck')), 0) AS struck,
        coalesce(sum(json_array_length(e.content, '$.added')), 0) AS added
    FROM events e JOIN tasks t ON t.id = e.task
    WHERE e.kind = 'history_done' AND NOT t.blank GROUP BY t.reviewer, t.kind
"""
_BLANK = """
    SELECT t.reviewer, t.kind, json_extract(e.content, '$.added') AS added,
        json_extract(l.label, '$.components') AS components
    FROM events e JOIN tasks t ON t.id = e.task JOIN labels l ON l.id = t.label
    WHERE e.kind = 'history_done' AND t.blank
"""
