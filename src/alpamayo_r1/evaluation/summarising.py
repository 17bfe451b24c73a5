"""What all scenes of a model say together: means with intervals, in total and by group, and agreement with labels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.evaluation.consistency import Fit
from alpamayo_r1.evaluation.evaluating import Evaluated
from alpamayo_r1.evaluation.intervals import means
from alpamayo_r1.evaluation.measures import GROUPED, KEYS
from alpamayo_r1.evaluation.sentences import NOTHING
from coc_labeling.agreement.decided import DECISIONS, LATERAL_WITH_DIRECTION, Channel
from coc_labeling.agreement.resampling import RESAMPLES, Measured
from coc_labeling.agreement.statistics import Agreement, agreement
from driving_clips.geometry import Floats

SEED = 0
SAID = "what the sentence decides"
_AGAINST, _TOLD = (Fit.CONTRADICTED,), (Fit.CONSISTENT, Fit.CONTRADICTED)
DECISION_ON_SPEED, DECISION_ON_LANE = "decision on speed", "decision on the lane"


@dataclass(frozen=True)
class Group:
    """Scenes of one kind.

    Attributes:
        kind: what tells the groups apart, such as speed.
        name: of this one.
        scenes, clips: how many there are.
        measures: means with intervals by key, of the measures of ``GROUPED`` or some of them.
    """

    kind: str
    name: str
    scenes: int
    clips: int
    measures: dict[str, Measured]


@dataclass(frozen=True)
class Summary:
    """What one model's scenes say together.

    Attributes:
        evaluated: the scenes.
        total: means with intervals by key.
        by_decision: the same by what the labels decide; empty without labels.
        by_scenario: the same by what was driven.
        by_said: by what the sentence of a sample decides, the share of samples that are contradicted, and that are
            consistent of those that can be told; means over samples.
        agreement: of labels (A) and sentences (B), a pair per sample; empty without labels.
    """

    evaluated: Evaluated
    total: dict[str, Measured]
    by_decision: tuple[Group, ...]
    by_scenario: tuple[Group, ...]
    by_said: tuple[Group, ...]
    agreement: dict[str, Agreement]


def summarise(evaluated: Evaluated) -> Summary:
    """Return what one model's scenes say together."""
    total = dict(zip(KEYS, means(evaluated.values, evaluated.clip, RESAMPLES, SEED), strict=True))
    return Summary(
        evaluated,
        total,
        tuple(groups(evaluated.values, evaluated.clip, decisions_of(evaluated))),
        tuple(groups(evaluated.values, evaluated.clip, scenarios_of(evaluated))),
        tuple(_by_said(evaluated)),
        _agreement(evaluated),
    )


def decisions_of(evaluated: Evaluated) -> dict[str, list[str | None]]:
    """Return what the label of each scene decides, None without one, by kind of decision; nothing without labels."""
    if not any(evaluated.labels):
        return {}
    names = [None if label is None else label.names for label in evaluated.labels]
    return {
        kind: [None if own is None else own[channel] for own in names]
        for kind, channel in ((DECISION_ON_SPEED, Channel.LONGITUDINAL), (DECISION_ON_LANE, Channel.LATERAL))
    }


def scenarios_of(evaluated: Evaluated) -> dict[str, list[str | None]]:
    """Return the class of each scene by kind of class."""
    kinds = evaluated.scenes[0].scenario
    return {kind: [scene.scenario[kind] for scene in evaluated.scenes] for kind in kinds}


def groups(
    values: Floats,
    clip: NDArray[np.intp],
    kinds: dict[str, list[str | None]],
    of_scenes: Callable[[Floats, NDArray[np.intp]], list[Measured]] = means,
) -> Iterator[Group]:
    """Yield the groups of each kind, those with most scenes first.

    Args:
        values: (S, M) by the keys of ``measures``.
        clip: (S,) the clip of each scene.
        kinds: the name of each scene's group, None for none, by kind.
        of_scenes: gives the means of some scenes.
    """
    columns = [KEYS.index(key) for key in GROUPED]
    for kind, names in kinds.items():
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                rows.setdefault(name, []).append(row)
        for name, own in sorted(rows.items(), key=lambda item: (-len(item[1]), item[0])):
            found = of_scenes(values[np.ix_(own, columns)], clip[own])
            clips = len(np.unique(clip[own]))
            yield Group(kind, name, len(own), clips, dict(zip(GROUPED, found, strict=True)))


def _by_said(evaluated: Evaluated) -> Iterator[Group]:
    """Yield how sentences of each decision fit their trajectories, those that are said most first."""
    rows: dict[str, list[tuple[int, Fit]]] = {}
    for row, scene in enumerate(evaluated.scenes):
        for said, fit in zip(scene.decisions, scene.fits, strict=True):
            if said != NOTHING:
                rows.setdefault(said.summary, []).append((row, Fit(fit)))
    for name, own in sorted(rows.items(), key=lambda item: (-len(item[1]), item[0])):
        of_scene = np.array([row for row, _ in own])
        against, told = (np.array([fit in fits for _, fit in own]) for fits in (_AGAINST, _TOLD))
        values = np.stack([against, np.where(told, ~against, np.nan)], axis=1).astype(np.float64)
        clip = evaluated.clip[of_scene]
        found = means(values, clip, RESAMPLES, SEED)
        measures = dict(zip(("contradicted", "consistency"), found, strict=True))
        yield Group(SAID, name, len(np.unique(of_scene)), len(np.unique(clip)), measures)


def _agreement(evaluated: Evaluated) -> dict[str, Agreement]:
    """Return agreement of labels and sentences on each question.

    There is a pair for each sample of a scene with a label, but for sentences that cannot be read: those decide
    nothing, and would agree with labels that decide nothing.
    """
    pairs = [
        (row, said)
        for row, label in enumerate(evaluated.labels)
        if label is not None
        for said in evaluated.scenes[row].decisions
        if said != NOTHING
    ]
    if not pairs:
        return {}
    questions: dict[str, tuple[str, Sequence[str]]] = {
        Channel.LONGITUDINAL: ("longitudinal", DECISIONS[Channel.LONGITUDINAL]),
        Channel.LATERAL: ("lateral", DECISIONS[Channel.LATERAL]),
        "lateral with direction": ("lateral_with_direction", LATERAL_WITH_DIRECTION),
    }
    clip = evaluated.clip[[row for row, _ in pairs]]
    found = {}
    for question, (field, names) in questions.items():
        label = _numbers([evaluated.labels[row] for row, _ in pairs], field)
        said = _numbers([one for _, one in pairs], field)
        found[str(question)] = agreement(label, said, clip, names, RESAMPLES, SEED)
    return found


def _numbers(decisions: Sequence[object], field: str) -> NDArray[np.int64]:
    return np.array([getattr(one, field) for one in decisions], dtype=np.int64)
