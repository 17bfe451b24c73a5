"""What models scored that judged the labels of a run, and whether their scores mean anything."""

import json
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coc_labeling.judge.results import FINAL
from coc_labeling.judge.stages import INVENTED, Stage
from coc_labeling.report.runs import Run
from coc_labeling.report.tables import dig
from driving_clips import files

FOLDER = "validation"  # of a run; each judge has a folder in it
BINS = 10


@dataclass(frozen=True)
class ScoreRow:
    """One score of a stage.

    Attributes:
        name: as in files.
        mean, median: of the labels' scores, 0 to 1.
        bins: labels by tenth of the score.
        auc: how often it ranks a label above one with a planted error; None where that was not measured.
    """

    name: str
    mean: float
    median: float
    bins: tuple[int, ...]
    auc: float | None

    @property
    def count(self) -> int:
        """How many labels have it."""
        return sum(self.bins)

    @property
    def zero_is_good(self) -> bool:
        """Whether it says how much is invented."""
        return self.name.endswith(INVENTED)


@dataclass(frozen=True)
class StageRows:
    """A stage: how many questions ended how, whether it separates (None: not measured), and its scores."""

    name: str
    evaluated: int
    skipped: int
    errors: int
    auc: float | None
    separates: bool | None
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
    def score_names(self) -> list[tuple[str, str]]:
        """Stage and name of each score there is."""
        return [(stage.name, score.name) for stage in self.stages for score in stage.scores]


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
        content = json.loads(files.read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        return f"{path}: cannot be read and is left out ({' '.join(str(error).split())[:300]})."
    if not isinstance(dig(content, "judge"), dict) or not isinstance(dig(content, "summary"), dict):
        return f"{path}: expected the results of a judge, found something else; it is left out."
    return _result(run, path, content)


def _result(run: Run, path: str, content: Mapping[str, Any]) -> JudgeResult:
    judge, summary = content["judge"], content["summary"]
    labels = [row for row in _list(content.get("labels")) if isinstance(row, dict)]
    stages = [_stage(stage, content, labels) for stage in Stage if dig(summary, "counts", stage.title) is not None]
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
        decisions=_decisions(labels, dig(summary, "by_longitudinal"), names),
        tokens={key: _count(value) for key, value in tokens.items()} if isinstance(tokens, dict) else {},
        cost_usd=_number(summary.get("cost_usd")),
    )


def _stage(stage: Stage, content: Mapping[str, Any], labels: Iterable[Mapping[str, Any]]) -> StageRows:
    counts, of_stage = (dig(content, *way, stage.title) for way in (("summary", "counts"), ("judge", "auc_by_stage")))
    evaluations = [dig(row, "evaluation", stage.title) for row in labels]
    scores = []
    for name in stage.scores:
        values = [value for one in evaluations if (value := _number(dig(one, name))) is not None]
        if values:
            bins = [0] * BINS
            for value in values:
                bins[min(max(int(value * BINS + 1e-9), 0), BINS - 1)] += 1
            auc = _number(dig(content, "judge", "auc_by_score", name, "auc"))
            scores.append(ScoreRow(name, statistics.fmean(values), statistics.median(values), tuple(bins), auc))
    separates = dig(of_stage, "separates")
    evaluated, skipped, errors = (_count(dig(counts, kind)) for kind in ("evaluated", "skipped", "errors"))
    return StageRows(
        stage.title,
        evaluated,
        skipped,
        errors,
        _number(dig(of_stage, "auc")),
        separates if isinstance(separates, bool) else None,
        scores,
    )


def _decisions(
    labels: Iterable[Mapping[str, Any]], means: object, names: Sequence[str]
) -> list[tuple[str, int, list[float | None]]]:
    if not isinstance(means, dict):
        return []
    counted: dict[str, int] = {}
    for row in labels:
        decision = str(row.get("longitudinal") or "none")
        counted[decision] = counted.get(decision, 0) + 1
    rows = [
        (name, counted.get(name, 0), [_number(dig(scores, score, "mean")) for score in names])
        for name, scores in means.items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
