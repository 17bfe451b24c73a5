"""What models scored that judged the labels of a run, and whether their scores mean anything."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coc_labeling.judge.results import FINAL, read_final
from coc_labeling.judge.stages import INVENTED, Stage
from coc_labeling.judge.summary import BINS
from coc_labeling.report.runs import Run
from coc_labeling.report.tables import dig
from driving_clips import files

FOLDER = "validation"  # of a run; each judge has a folder in it


@dataclass(frozen=True)
class ScoreRow:
    """One score of a stage.

    Attributes:
        name: as in files.
        count: how many labels have it.
        mean, median: of the labels' scores, 0 to 1.
        bins: labels by tenth of the score; none where the file does not tell.
        auc: how often it ranks a label above one with a planted error; None where that was not measured.
    """

    name: str
    count: int
    mean: float | None
    median: float | None
    bins: tuple[int, ...]
    auc: float | None

    @property
    def zero_is_good(self) -> bool:
        """Whether it says how much is invented."""
        return self.name.endswith(INVENTED)


@dataclass(frozen=True)
class StageRows:
    """A stage of a judge.

    Attributes:
        name: as in files.
        evaluated, skipped, errors: how many questions ended how.
        separates: whether it scores planted errors lower; None where that was not measured.
        auc, lower: how often a twin scores higher than a planted label, and the lower end of its 95 % interval.
        planted: errors that it was measured by.
        scores: those that there are.
    """

    name: str
    evaluated: int
    skipped: int
    errors: int
    separates: bool | None
    auc: float | None
    lower: float | None
    planted: int
    scores: list[ScoreRow]


@dataclass(frozen=True)
class JudgeResult:
    """One judge of one run.

    Attributes:
        run: whose labels it judged.
        path: the file that it was read from.
        name, model_ids: who judged.
        informative: whether the scores mean anything; None where that was not measured.
        reason: why.
        self_judged: whether it is the model that made the labels.
        true, planted: controls without and with an error.
        labels: how many were judged.
        outdated: rows about labels that have changed since.
        stages: scores by stage.
        decisions: for each longitudinal decision its labels and the mean of each score, as in ``score_names``.
        tokens: by kind.
        cost_usd: None where a price is unknown.
    """

    run: Run
    path: str
    name: str
    model_ids: tuple[str, ...]
    informative: bool | None
    reason: str
    self_judged: bool
    true: int
    planted: int
    labels: int
    outdated: int
    stages: list[StageRows]
    decisions: list[tuple[str, int, list[float | None]]]
    tokens: Mapping[str, int]
    cost_usd: float | None

    @property
    def score_names(self) -> list[tuple[StageRows, str]]:
        """Stage and name of each score there is."""
        return [(stage, score.name) for stage in self.stages for score in stage.scores]

    @property
    def separating(self) -> list[str]:
        """The stages that score planted errors lower, by name."""
        return [stage.name for stage in self.stages if stage.separates]


@dataclass(frozen=True)
class Judged:
    """All judges of all runs; ``unjudged`` are run and command where there is none, ``notices`` what is damaged."""

    results: list[JudgeResult]
    unjudged: list[tuple[Run, str]]
    notices: list[str]


def judged(runs: Sequence[Run]) -> Judged:
    """Read what judges left in the folders of runs."""
    found = Judged([], [], [])
    for run in runs:
        if run.labelling is None:
            continue
        folder = files.join(run.path, FOLDER)
        own = []
        for name in files.list_folders(folder):
            path = files.join(folder, name, FINAL)
            if files.exists(path):
                result = _read(run, path)
                own.append(result)
        found.results.extend(one for one in own if isinstance(one, JudgeResult))
        found.notices.extend(one for one in own if isinstance(one, str))
        if not own:
            command = f"coc validate {shlex.quote(run.path)} --model-name gpt5.5 --sample 200"
            found.unjudged.append((run, command))
    return found


def _read(run: Run, path: str) -> JudgeResult | str:
    """Return a judge's results, or why they cannot be shown."""
    try:
        content = read_final(path)
    except (OSError, ValueError, RecursionError) as error:
        return f"{path}: cannot be read and is left out ({' '.join(str(error).split())[:300]})."
    if not isinstance(dig(content, "judge"), dict) or not isinstance(dig(content, "summary"), dict):
        return f"{path}: expected the results of a judge, found something else; it is left out."
    return _result(run, path, content)


def _result(run: Run, path: str, content: Mapping[str, Any]) -> JudgeResult:
    judge, summary = content["judge"], content["summary"]
    stages = [_stage(stage, content) for stage in Stage if dig(summary, "counts", stage.title) is not None]
    names = [score.name for stage in stages for score in stage.scores]
    tokens = summary.get("tokens")
    informative = judge.get("informative")
    return JudgeResult(
        run=run,
        path=path,
        name=str(judge.get("name") or "unnamed"),
        model_ids=tuple(map(str, _list(judge.get("model_ids")))),
        informative=informative if isinstance(informative, bool) else None,
        reason=str(judge.get("reason") or ""),
        self_judged=judge.get("self_judged") is True,
        true=_count(judge.get("n_true")),
        planted=_count(judge.get("n_planted")),
        labels=_count(summary.get("labels")),
        outdated=_count(summary.get("outdated_rows")),
        stages=stages,
        decisions=_decisions(summary, names),
        tokens={key: _count(value) for key, value in tokens.items()} if isinstance(tokens, dict) else {},
        cost_usd=_number(summary.get("cost_usd")),
    )


def _stage(stage: Stage, content: Mapping[str, Any]) -> StageRows:
    counts, of_stage = (dig(content, *way, stage.title) for way in (("summary", "counts"), ("judge", "auc_by_stage")))
    separates = dig(of_stage, "separates")
    evaluated, skipped, errors = (_count(dig(counts, kind)) for kind in ("evaluated", "skipped", "errors"))
    return StageRows(
        name=stage.title,
        evaluated=evaluated,
        skipped=skipped,
        errors=errors,
        separates=separates if isinstance(separates, bool) else None,
        auc=_number(dig(of_stage, "auc")),
        lower=_number(dig(of_stage, "lower")),
        planted=_count(dig(of_stage, "n_planted")),
        scores=[score for name in stage.scores if (score := _score(name, content)).count],
    )


def _score(name: str, content: Mapping[str, Any]) -> ScoreRow:
    own = dig(content, "summary", "scores", name)
    bins = tuple(map(_count, _list(dig(content, "summary", "bins", name))))
    return ScoreRow(
        name=name,
        count=_count(dig(own, "n")),
        mean=_number(dig(own, "mean")),
        median=_number(dig(own, "median")),
        bins=bins if len(bins) == BINS and min(bins) >= 0 else (),
        auc=_number(dig(content, "judge", "auc_by_score", name, "auc")),
    )


def _decisions(summary: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, int, list[float | None]]]:
    means = summary.get("by_longitudinal")
    if not isinstance(means, dict):
        return []
    rows = [
        (name, _count(dig(summary, "decisions", name)), [_number(dig(scores, score, "mean")) for score in names])
        for name, scores in means.items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
