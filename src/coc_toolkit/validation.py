"""``coc validate`` on the terminal."""

from batch_runs.outcomes import EXIT_INTERRUPTED, EXIT_NOTHING
from batch_runs.terminal import say
from coc_labeling.judge.results import FINAL
from coc_labeling.judge.run import ValidationRequest, ValidationResult, dry_run, validate
from coc_labeling.results import SUMMARY
from driving_clips import files


def run_validation(request: ValidationRequest, *, only_tell: bool) -> int:
    """Judge the labels of an experiment and print what came of it; returns the exit code.

    Args:
        request: what is asked for.
        only_tell: print what would be sent where, and send nothing.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be judged as asked.
    """
    if only_tell:
        say(*dry_run(request))
        return 0
    result = validate(request)
    say(*_lines(result))
    return _exit_code(result)


def _lines(result: ValidationResult) -> list[str]:
    final = result.final
    lines = [f"note: {notice}" for notice in result.notices]
    lines += result.tally.lines("judgements")
    lines += result.spent_lines()
    for name, score in final["summary"]["scores"].items():
        lines.append(f"  {name}: mean {score['mean']:.2f}, median {score['median']:.2f} of {score['n']}")
    lines += [f"judge: {_verdict(final['judge'])}"]
    if result.stopped is not None:
        lines += [f"stopped early: {result.stopped}", "go on with the same command"]
    folder = result.folder
    return [*lines, f"scores: {files.join(folder.path, FINAL)}", f"summary: {folder.file(SUMMARY)}"]


def _verdict(judge: dict) -> str:
    kinds = {True: "informative", False: "UNINFORMATIVE, its scores say nothing about the labels", None: "not measured"}
    reason = judge["reason"].removeprefix("not measured: ")
    return f"{kinds[judge['informative']]}: {reason}"


def _exit_code(result: ValidationResult) -> int:
    """Return the exit code: 130 after Ctrl-C, else by outcomes; 2 where it stopped before anything was judged."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    code = result.tally.exit_code(strict=False)
    return EXIT_NOTHING if result.stopped and not result.tally.count("done") else code
