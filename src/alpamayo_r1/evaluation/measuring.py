"""Everything that is measured of one scene."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alpamayo_r1.evaluation.comfort import comfort_measures
from alpamayo_r1.evaluation.consistency import Fit, Judged, judge
from alpamayo_r1.evaluation.corridor import off_path
from alpamayo_r1.evaluation.displacement import displacement_measures
from alpamayo_r1.evaluation.diversity import diversity_measures
from alpamayo_r1.evaluation.predictions import BadLineError, RawLine, Scene, parse
from alpamayo_r1.evaluation.scenarios import scenario_of
from alpamayo_r1.evaluation.sentences import MOST_CHARS, Decisions, decided_by_sentence
from coc_labeling.checks.base import Verdict


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A claim of a sentence that its own trajectory speaks against.

    Attributes:
        sample: its number, set after set.
        sentence: as the model wrote it, cut where the parser stops reading.
        check: which check found it.
        claim: in a few words.
        reason: what speaks against it, in words.
        severity: how grave it is, 0 to 1.
    """

    sample: int
    sentence: str
    check: str
    claim: str
    reason: str
    severity: float


@dataclass(frozen=True)
class SceneResult:
    """What was measured of one scene; travels between processes.

    Attributes:
        line: where it stands; without its content.
        clip_id, t0_us: which moment.
        model: as the file says.
        shape: sets, samples of each, steps.
        values: measures by key; those that could not be taken are left out.
        scenario: classes of the scene by kind of class.
        decisions: of each sample's sentence.
        fits: of each sample, how its sentence and its trajectory fit.
        contradictions: of all samples that are contradicted, each claim that is.
        severity: how grave the gravest contradiction is, slight ones of samples that are unclear included.
        problems: how many the model's run noted.
    """

    line: RawLine
    clip_id: str
    t0_us: int
    model: str
    shape: tuple[int, int, int]
    values: dict[str, float]
    scenario: dict[str, str]
    decisions: tuple[Decisions, ...]
    fits: tuple[str, ...]
    contradictions: tuple[Contradiction, ...]
    severity: float
    problems: int

    @property
    def key(self) -> tuple[str, int]:
        """Clip id and t0 in us: what tells scenes apart."""
        return self.clip_id, self.t0_us


def judged_samples(scene: Scene) -> list[Judged]:
    """Return of each sample how its sentence fits its trajectory, set after set."""
    samples = zip(scene.cot, scene.flat_xy, scene.flat_yaw, strict=True)
    return [judge(text, scene.history_xy, xy, yaw) for text, xy, yaw in samples]


def measure(scene: Scene) -> tuple[dict[str, float], list[Judged]]:
    """Return all measures of a scene by key, and its samples as they were judged."""
    judged = judged_samples(scene)
    decisions = [decided_by_sentence(one.reading) for one in judged]
    values = comfort_measures(scene.flat_xy, scene.flat_yaw)
    values |= diversity_measures(scene.flat_xy, scene.cot, decisions)
    values |= _text_measures(judged)
    values["unstopped"] = float(1.0 - scene.stopped.mean())
    if scene.future_xy is not None:
        values |= _against_driven(scene)
    return values, judged


def _against_driven(scene: Scene) -> dict[str, float]:
    assert scene.future_xy is not None
    values = displacement_measures(scene.pred_xy, scene.pred_yaw, scene.future_xy, scene.future_yaw)
    leaves, beside = off_path(scene.flat_xy, scene.history_xy, scene.future_xy)
    values |= {"off_path": float(leaves.mean()), "points_judged": beside}
    if scene.future_yaw is not None and len(scene.future_yaw) >= scene.pred_xy.shape[2]:
        steps = scene.pred_xy.shape[2]
        driven = comfort_measures(scene.future_xy[None, :steps], scene.future_yaw[None, :steps])
        values["driven_uncomfortable"] = driven["uncomfortable"]
    return values


def _text_measures(judged: Sequence[Judged]) -> dict[str, float]:
    count = Counter(one.fit for one in judged)
    values = {str(fit): count[fit] / len(judged) for fit in Fit}
    if told := count[Fit.CONSISTENT] + count[Fit.CONTRADICTED]:
        values["consistency"] = count[Fit.CONSISTENT] / told
    values["unmentioned"] = sum(bool(one.unmentioned) for one in judged) / len(judged)
    return values


def _contradictions(scene: Scene, judged: Sequence[Judged]) -> Iterator[Contradiction]:
    for sample, (text, one) in enumerate(zip(scene.cot, judged, strict=True)):
        if one.fit is not Fit.CONTRADICTED:
            continue
        for finding in one.findings:
            if finding.verdict is Verdict.CONTRADICTED:
                told = (finding.check, finding.about, finding.reason, finding.severity)
                yield Contradiction(sample, text[:MOST_CHARS], *told)


def measured(line: RawLine) -> SceneResult:
    """Return what is measured of a line.

    Raises:
        BadLineError: it is no prediction, or one that measuring stumbles over; the message names file and line.
    """
    scene = parse(line)
    try:
        values, judged = measure(scene)
        scenario = scenario_of(scene.clip_id, scene.history_xy, scene.future_xy, scene.future_yaw)
    except Exception as error:  # whatever numbers make it stumble over costs this scene only
        raise BadLineError(f"{line}: clip {scene.clip_id}: {type(error).__name__}: {error}") from error
    sets, samples, steps = scene.pred_yaw.shape
    return SceneResult(
        line._replace(content=b""),
        scene.clip_id,
        scene.t0_us,
        scene.model,
        (sets, samples, steps),
        values,
        scenario,
        tuple(decided_by_sentence(one.reading) for one in judged),
        tuple(str(one.fit) for one in judged),
        tuple(_contradictions(scene, judged)),
        max(one.severity for one in judged),
        len(scene.problems),
    )
