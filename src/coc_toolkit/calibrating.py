"""``coc check --calibrate`` on the terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType

from batch_runs.terminal import complain, say
from coc_labeling.checks import CHECKS_VERSION
from coc_labeling.checks.calibration import (
    Calibration,
    Source,
    calibrated,
    calibration_path,
    joined,
    write_calibration,
)
from coc_labeling.checks.recalibrating import recalibrate
from coc_labeling.checks.results import table_names
from coc_labeling.checks.risk import Status
from coc_labeling.errors import CocLabelingError
from coc_labeling.review.results.judged_risks import has_reviews, judged_risks


def run_calibration(
    run_dir: str,
    reviewed: Sequence[str],
    *,
    calibrate: bool = True,
    others: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Fit a run's risks to its reviews and those of other runs, and calibrate its checks; returns the exit code.

    Args:
        run_dir: an experiment folder whose labels have been checked.
        reviewed: other runs whose reviews count as well; alone where the run has none itself.
        calibrate: whether it was asked for; reviews of others mean nothing without.
        others: options by name, that mean nothing here where they are set.

    Raises:
        CocLabelingError: it has not been checked, there are too few reviews, or options contradict.
    """
    given = [name for name, value in others.items() if value]
    if given or not calibrate:
        raise CocLabelingError(
            f"{', '.join(given)}: not together with --calibrate, which measures nothing anew."
            if calibrate
            else "--reviews: only together with --calibrate."
        )
    table_names(run_dir)  # before reviews are read: without checks there is nothing to calibrate
    own = [run_dir] if has_reviews(run_dir) or not reviewed else []
    parts = [judged_risks(one) for one in (*own, *reviewed)]
    _refuse_repeated([source for _, source in parts])
    found = calibrated(
        joined([judged for judged, _ in parts]),
        [source for _, source in parts],
        checks_version=CHECKS_VERSION,
        code_version=version("coc-toolkit"),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_calibration(run_dir, found)
    status = recalibrate(run_dir, found.map)
    if not found.helps:
        complain(
            "note: on clips that it was not fitted to, the calibrated risk is no better than the one before. Delete "
            f"{calibration_path(run_dir)} and run coc check again to go back."
        )
    say(*tell(found), "", "labels by calibrated risk")
    say(*(f"  {one:<12}{status[one]:>8}" for one in Status if status[one]))
    say("", f"calibration: {calibration_path(run_dir)}")
    return 0


def _refuse_repeated(sources: Sequence[Source]) -> None:
    """Raise CocLabelingError where two runs hold the same reviews: each judgement counts once."""
    seen: dict[str, Source] = {}
    for source in sources:
        if source.events_sha256 in seen:
            raise CocLabelingError(
                f"--reviews {source.run_dir}: its reviews are those of {seen[source.events_sha256].run_dir}, and would "
                "count twice. The reviews of the run itself are taken anyway."
            )
        seen[source.events_sha256] = source


def tell(found: Calibration) -> list[str]:
    """Return what is said of a calibration."""
    before, after = found.before, found.after
    return [
        f"{found.judged:,} reviewed labels, {found.wrong:,} of them wrong; weighted they tell as much as "
        f"{found.effective:.0f} drawn at random",
        f"logit(calibrated) = {found.map.intercept:+.3f} {found.map.slope:+.3f} x logit(risk)",
        "",
        f"{'on clips not fitted to':<28}{'before':>10}{'calibrated':>12}",
        f"  {'Brier score':<26}{before.brier:>10.4f}{after.brier:>12.4f}",
        f"  {'expected calibration error':<26}{before.expected_error:>10.4f}{after.expected_error:>12.4f}",
        "",
        f"{'probability':<14}{'judged':>8}{'predicted':>12}{'wrong':>8}",
        *(
            f"  {one.low:.1f} to {one.low + 0.1:.1f}  {one.judged:>8}{one.predicted:>12.1%}{one.wrong:>8.1%}"
            for one in after.bins
            if one.predicted is not None and one.wrong is not None
        ),
        "",
        f"{'check':<14}{'contradicted':>13}{'wrong':>7}   precision (95 %)",
        *(
            f"{name:<14}{one.contradicted:>13}{one.wrong:>7}   {one.precision:.1%} "
            f"({one.ci95_low:.1%} to {one.ci95_high:.1%})"
            for name, one in found.checks.items()
        ),
    ]
