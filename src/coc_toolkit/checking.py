"""``coc check`` on the terminal."""

from collections.abc import Sequence

from batch_runs.shards import parse_shard
from batch_runs.terminal import say
from coc_labeling.checks.base import Verdict
from coc_labeling.checks.risk import Status
from coc_labeling.checks.run import CheckRun, by_check, check_run
from coc_toolkit.controls import parse_changes

BAR = 40
REASONS_SHOWN = 2


def run_checks(
    run_dir: str,
    changes: Sequence[str],
    shard: str,
    num_workers: int,
    *,
    strict: bool,
    calibration: str | None = None,
) -> int:
    """Check a run's labels and print what came of it; returns the exit code.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: nothing can be checked.
    """
    run = check_run(
        run_dir, parse_changes(changes), shard=parse_shard(shard), num_workers=num_workers, calibration=calibration
    )
    say(*tell(run))
    return run.tally.exit_code(strict=strict)


def tell(run: CheckRun) -> list[str]:
    """Return what is said of a run that has been checked."""
    lines = [f"note: {notice}" for notice in run.notices]
    lines += run.tally.lines("labels")
    lines += ["", "labels by risk", *_by_status(run)]
    lines += [
        "",
        f"{'check':<14}{'supported':>11}{'contradicted':>14}{'not observable':>16}{'precision':>11}",
        *_by_check(run),
    ]
    if any(row[0] > 0 for row in run.riskiest):
        lines += ["", "riskiest labels", *_riskiest(run)]
    if problems := run.totals.track_problems:
        clip_id, said = next(iter(sorted(problems.items())))
        lines += ["", f"tracks of {len(problems)} clips have problems, such as {clip_id}: {said[0]}"]
    return [*lines, "", f"checks: {run.table}", f"summary: {run.summary}"]


def _by_status(run: CheckRun) -> list[str]:
    total = max(sum(run.totals.status.values()), 1)
    counts = [(str(status), run.totals.status[str(status)]) for status in Status]
    return [
        f"  {status:<12}{count:>8}  {'█' * round(BAR * count / total)}".rstrip()
        for status, count in counts
        if count or status in (Status.LOW, Status.MEDIUM, Status.HIGH)
    ]


def _by_check(run: CheckRun) -> list[str]:
    lines = []
    for name, figures in by_check(run.totals).items():
        precision = "-" if figures["precision"] is None else f"{figures['precision']:.1%}"
        supported, contradicted, unseen = (figures[str(verdict)] for verdict in Verdict)
        lines.append(f"{name:<14}{supported:>11}{contradicted:>14}{unseen:>16}{precision:>11}")
    return lines


def _riskiest(run: CheckRun) -> list[str]:
    lines = []
    for risk, item, reasons in run.riskiest:
        lines.append(f"  {risk:.2f}  {item}")
        lines += [f"        {reason}" for reason in reasons[:REASONS_SHOWN]]
    return lines
