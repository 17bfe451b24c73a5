"""Command ``python -m benchmarks.traffic.known_causes DATA OUT``: the rules agent against simulated traffic's truth.

DATA is what ``benchmarks.traffic.generate`` wrote. A decision is right where it is among the truth's accepted words; a
cause is right where the label cites the true road user by its track, or the true curve or turn. Moments whose truth is
ambiguous are left out and counted.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.traffic import truth_table
from benchmarks.traffic.mirror import OTHER
from coc_labeling.records import from_yaml
from coc_labeling.results import ExperimentFolder, load_labels
from coc_labeling.schema import UNOBSERVED, CoCLabel, Component, Side
from coc_toolkit.pipeline import PipelineRequest, run_pipeline

Moment = tuple[str, int]
DECISIONS_REACH, CAUSES_REACH = 0.90, 0.85


@dataclass(frozen=True)
class Judged:
    """One moment: its truth, its label, and what is right about it (None where it does not count)."""

    truth: dict[str, Any]
    label: CoCLabel
    longitudinal: bool | None
    lateral: bool | None
    cause: bool | None
    relation: bool | None
    lateral_cause: bool | None
    invented: bool | None

    @property
    def said(self) -> str:
        """The label's decision on speed."""
        return _longitudinal(self.label)


def main() -> int:
    """Label with the rules agent, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic.known_causes", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="folder for the run, new or of an earlier one")
    parser.add_argument("--mirrored", type=Path, help="the mirrored data: are its labels the mirrored ones?")
    parser.add_argument("--show", type=int, default=0, help="print so many moments that are wrong")
    arguments = parser.parse_args()
    result = run_pipeline(PipelineRequest("table", str(arguments.data / "clips"), str(arguments.out), num_workers=2))
    judged = judge_run(arguments.data / "truth.parquet", result.run_dir)
    print(report(judged))
    if arguments.mirrored:
        other = PipelineRequest("table", str(arguments.mirrored / "clips"), f"{arguments.out}_mirrored", num_workers=2)
        print(mirrored_report(read_run(result.run_dir), read_run(run_pipeline(other).run_dir)))
    wrong = [j for j in judged if j.longitudinal is False or j.cause is False or j.lateral is False]
    for j in wrong[: arguments.show]:
        print(_line(j))
    return 0


def judge_run(truth: Path, run_dir: str) -> list[Judged]:
    """Return each moment of the truth that has a label in a run, judged."""
    labels = read_run(run_dir)
    rows = truth_table.read(truth)
    return [judge(row, labels[row["clip_id"], row["t_us"]]) for row in rows if (row["clip_id"], row["t_us"]) in labels]


def read_run(run_dir: str) -> dict[Moment, CoCLabel]:
    """Return all labels of an experiment folder."""
    folder = ExperimentFolder(run_dir)
    labels = {}
    for row in load_labels(run_dir).select(["clip_id", "event_start_timestamp"]).to_pylist():
        moment = row["clip_id"], row["event_start_timestamp"]
        path = folder.record_path(*moment)
        labels[moment] = from_yaml(Path(path).read_text(), path, moment[0]).label
    return labels


def judge(truth: dict[str, Any], label: CoCLabel) -> Judged:
    """Compare one label with the truth."""
    clear, clear_lane = not truth["ambiguous"], not truth["lateral_ambiguous"]
    right = _longitudinal(label) in truth["accepted"] if clear else None
    lane = _lateral(label) in truth["lateral_accepted"] if clear_lane else None
    cited = _cited(label, label.longitudinal.cause_ids if label.longitudinal else ())
    cause = relation = invented = None
    if clear and truth["shown_by_tracks"]:
        cause = any(_same(c, t) for c in cited for t in truth["causes"])
        if truth["causes"][0]["relation"]:
            relation = any(_same(c, t) and _relation(c) == t["relation"] for c in cited for t in truth["causes"])
    elif clear:
        invented = any(c.track_id is not None for c in cited)
    lateral_cause = None
    shown = [t for t in truth["lateral_causes"] if t["shown"] and t["track_id"]]
    if shown and clear_lane:
        own = _cited(label, label.lateral.cause_ids if label.lateral else ())
        lateral_cause = any(_same(c, t) for c in own for t in shown)
    return Judged(truth, label, right, lane, cause, relation, lateral_cause, invented)


def _longitudinal(label: CoCLabel) -> str:
    return str(label.longitudinal.decision) if label.longitudinal else "none"


def _lateral(label: CoCLabel) -> str:
    if label.lateral is None:
        return "keep_lane"  # nothing is said of the lane
    return (
        f"{label.lateral.decision}:{label.lateral.direction}"
        if label.lateral.direction
        else str(label.lateral.decision)
    )


def _relation(component: Component) -> str | None:
    return None if component.relation is None else str(component.relation)


def _cited(label: CoCLabel, cause_ids: Iterable[str]) -> list[Component]:
    ids = set(cause_ids) - {UNOBSERVED}
    return [component for component in label.components if component.id in ids]


def _same(component: Component, cause: dict[str, Any]) -> bool:
    """Whether a component is the true cause: the same road user, or a curve or turn to the same side."""
    if cause["track_id"]:
        return bool(component.track_id == cause["track_id"])
    if str(component.category) != cause["category"]:
        return False
    return component.side is None or cause["side"] is None or str(component.side) == cause["side"]


def report(judged: list[Judged]) -> str:
    """Return accuracies and both confusion tables as text."""
    lines = [f"{len(judged)} moments in {len({j.truth['clip_id'] for j in judged})} clips"]
    unclear = sum(1 for j in judged if j.truth["ambiguous"])
    lines.append(f"ambiguous: {unclear} ({unclear / max(len(judged), 1):.1%})")
    seen = [j.longitudinal for j in judged if j.truth["shown_by_tracks"] or not j.truth["causes"]]
    lines.append(
        _share("decisions on speed where tracks can show why, or nothing holds ego back", seen, DECISIONS_REACH)
    )
    for name, what, reach in (
        ("longitudinal", "decisions on speed", DECISIONS_REACH),
        ("lateral", "decisions on the lane", DECISIONS_REACH),
        ("cause", "causes that tracks can show", CAUSES_REACH),
        ("relation", "the same with their relation", None),
        ("lateral_cause", "causes of moves, road users only", None),
        ("invented", "a road user cited where none is the cause", None),
    ):
        lines.append(_share(what, [getattr(j, name) for j in judged], reach))
    clear = [j for j in judged if j.longitudinal is not None]
    lines += ["", "speed: rows truth, columns label (right ones in other words counted as the truth's)"]
    lines += table([(j.truth["longitudinal"], j.truth["longitudinal"] if j.longitudinal else j.said) for j in clear])
    lines += ["", "lane"]
    lane = [j for j in judged if j.lateral is not None]
    lines += table([(_true_lane(j), _true_lane(j) if j.lateral else _lateral(j.label)) for j in lane])
    lines += ["", "causes by kind: right of all"]
    kinds: dict[str, list[bool]] = {}
    for j in judged:
        if j.cause is not None:
            first = j.truth["causes"][0]
            kinds.setdefault(f"{j.truth['longitudinal']} {first['what']}", []).append(j.cause)
    lines += [f"  {sum(values):4} of {len(values):4}  {kind}" for kind, values in sorted(kinds.items())]
    return "\n".join(lines)


def mirrored_report(labels: dict[Moment, CoCLabel], mirrored: dict[Moment, CoCLabel]) -> str:
    """Return how many labels of mirrored clips are the mirrored labels, with the first that are not."""
    both = sorted(labels.keys() & mirrored.keys())
    alone = len(labels.keys() ^ mirrored.keys())
    odd = [moment for moment in both if _in_mirror(labels[moment]) != _said(mirrored[moment])]
    lines = [
        f"mirrored: {len(both) - len(odd)} of {len(both)} labels are mirror images, {alone} moments without a twin"
    ]
    lines += [f"  {clip_id} {t_us / 1e6:.1f} s" for clip_id, t_us in odd[:10]]
    return "\n".join(lines)


def _said(label: CoCLabel) -> tuple[object, ...]:
    """Return what a label says, sides and sentence included."""
    components = [(c.category, c.relation, c.side, c.track_id) for c in label.components]
    return label.longitudinal, label.lateral, components, label.effect_on_ego_behavior


def _in_mirror(label: CoCLabel) -> tuple[object, ...]:
    """Return what the label of the mirrored clip must say."""
    lateral = label.lateral
    if lateral is not None and lateral.direction is not None:
        lateral = lateral.model_copy(update={"direction": Side(OTHER[lateral.direction])})
    components = [
        (c.category, c.relation, Side(OTHER[c.side]) if c.side else None, c.track_id) for c in label.components
    ]
    sentence = re.sub(r"\b(left|right)\b(?! of way)", lambda word: OTHER[word[1]], label.effect_on_ego_behavior or "")
    return label.longitudinal, lateral, components, sentence or None


def _true_lane(j: Judged) -> str:
    side = j.truth["direction"]
    return f"{j.truth['lateral']}:{side}" if side else str(j.truth["lateral"])


def _share(what: str, values: list[bool | None], reach: float | None) -> str:
    known = [value for value in values if value is not None]
    share = sum(known) / len(known) if known else float("nan")
    goal = f" (reach >= {reach:.2f})" if reach else ""
    return f"{what}: {share:.3f} of {len(known)}{goal}"


def table(pairs: list[tuple[str, str]]) -> list[str]:
    """Return a confusion table's lines."""
    counts = Counter(pairs)
    rows = sorted({row for row, _ in counts})
    columns = sorted({column for _, column in counts})
    width = max((len(name) for name in rows), default=0)
    lines = [" " * (width + 2) + "  ".join(columns)]
    for row in rows:
        cells = "  ".join(f"{counts[row, column] or '.':>{len(column)}}" for column in columns)
        lines.append(f"{row:<{width}}  {cells}")
    return lines


def _line(j: Judged) -> str:
    truth = j.truth
    causes = [(c["what"], c["track_id"], c["side"]) for c in truth["causes"]][:3]
    return (
        f"{truth['clip_id']} {truth['t_us'] / 1e6:.1f} s {truth['speed']:.1f} m/s: {truth['longitudinal']} {causes} "
        f"{_true_lane(j)} lead {truth['lead']} | {j.said} {_lateral(j.label)} "
        f"{[(str(c.category), _relation(c), c.track_id) for c in j.label.components]} {j.label.effect_on_ego_behavior}"
    )


if __name__ == "__main__":
    sys.exit(main())
