"""From predictions of one or more models to tables, files and a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alpamayo_r1.evaluation.comparing import Comparison, compare
from alpamayo_r1.evaluation.contradictions import write_contradictions
from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.evaluating import Evaluated, evaluate_files
from alpamayo_r1.evaluation.gallery import write_gallery
from alpamayo_r1.evaluation.labels import read_labels
from alpamayo_r1.evaluation.output import as_dict, write_json, write_scenes
from alpamayo_r1.evaluation.page import write_page
from alpamayo_r1.evaluation.summarising import Summary, summarise
from batch_runs.outcomes import EXIT_FAILED
from batch_runs.shards import shard_of_file
from driving_clips import files

FOLDER, RESULTS, SCENES, PAGE = "evaluation", "evaluation.json", "per_scene.parquet", "evaluation.html"
CONTRADICTIONS, GALLERY = "contradictions.jsonl", "contradictions.html"


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        summaries: of each model, in the order asked for.
        comparisons: of each further model with the first.
        notices: what the user should know.
        written: the files, by what they hold.
    """

    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    notices: tuple[str, ...]
    written: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 where every line was good, else 1."""
        return max((EXIT_FAILED if own.evaluated.tally.exit_code(strict=False) else 0) for own in self.summaries)


def evaluate(predictions: Sequence[str], labels: str | None = None, out: str | None = None) -> Evaluation:
    """Evaluate predictions and write what was found.

    Args:
        predictions: predictions.jsonl of each model, or the folder of ``coc infer``; the first is what the others are
            compared with.
        labels: the experiment folder whose labels the sentences are compared with, or None.
        out: the folder to write to; ``evaluation`` beside the first predictions by default.

    Raises:
        EvaluationError: no such file, nothing in one that can be used, or no scene in common.
        CocLabelingError: there are no labels in ``labels``.
    """
    known = None if labels is None else read_labels(labels)
    names = _names(predictions)
    evaluated = [evaluate_files(path, name, known) for path, name in zip(predictions, names, strict=True)]
    comparisons = tuple(compare(evaluated[0], other) for other in evaluated[1:])
    summaries = tuple(summarise(one) for one in evaluated)
    notices = [*(known.notices if known is not None else ()), *(text for one in comparisons for text in one.notices)]
    if known is not None and not any(any(one.labels) for one in evaluated):
        notices.append(f"{labels}: no label within 0.5 s of any scene, so that no decision is compared.")
    notices += [text for one in evaluated for text in _notices(one)]
    folder = out or files.join(files.parent(evaluated[0].paths[0]), FOLDER)
    written = {name: files.join(folder, name) for name in (RESULTS, SCENES, CONTRADICTIONS, PAGE, GALLERY)}
    write_json(written[RESULTS], as_dict(summaries, comparisons, labels))
    write_scenes(written[SCENES], evaluated)
    write_contradictions(written[CONTRADICTIONS], evaluated)
    write_page(written[PAGE], summaries, comparisons, notices)
    write_gallery(written[GALLERY], summaries)
    return Evaluation(summaries, comparisons, tuple(notices), written)


def _notices(evaluated: Evaluated) -> Iterator[str]:
    """Yield what to beware of in one model's predictions."""
    if len({shape[:2] for shape in evaluated.shapes}) > 1:
        yield f"{evaluated.name}: scenes have different numbers of samples, and their minADE differ in kind."
    shards = [shard for path in evaluated.paths if (shard := shard_of_file(files.base_name(path))) is not None]
    for count in sorted({shard.count for shard in shards}):
        there = {shard.index for shard in shards if shard.count == count}
        if missing := [f"{index}/{count}" for index in range(count) if index not in there]:
            yield f"{evaluated.name}: shards {', '.join(missing[:5])} are missing ({len(missing)} of {count})."


def _names(paths: Sequence[str]) -> list[str]:
    """Name each model by as few of its path's last parts as tell them apart.

    Example:
        >>> _names(["a/run/predictions.jsonl", "b/run"])
        ['a/run', 'b/run']
    """
    whole = [files.absolute(path).removesuffix("/predictions.jsonl") for path in paths]
    if len(set(whole)) < len(whole):
        repeated = next(path for number, path in enumerate(paths) if whole[number] in whole[:number])
        raise EvaluationError(f"{repeated}: named twice. Name different predictions.")
    parts = [path.split("/") for path in whole]
    for last in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-last:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return whole
