"""``coc quality`` on the terminal."""

from collections.abc import Iterator, Sequence

from batch_runs.terminal import complain, say
from coc_labeling.review.results.faults import Finding
from coc_labeling.review.results.quality import Left, Measured, Quality, quality_of_run
from coc_labeling.review.results.quality_output import write_json
from coc_toolkit.output_files import prepare_output

_HEADS = (
    "",
    "labels",
    "judged",
    "at random",
    "unreviewed",
    "of them right (95 %)",
    "lists",
    "of them lacking one (95 %)",
)
_UNDEFINED = "undefined"
_WHY_UNDEFINED = (
    "undefined: none of these labels that were drawn at random has a result (lacking one: from a blank list); more "
    "batches may change that"
)
_MARK = " *"
_WHY_MARKED = (
    "*: in some part of the queue none of these labels has a result, so random labels alone were used; an interval, "
    "without an estimate in it"
)


def run_quality(run_dir: str, out: str | None) -> int:
    """Estimate how right the unreviewed labels of a run are, print it and write it; returns the exit code.

    Args:
        run_dir: an experiment folder whose labels have been reviewed.
        out: a JSON file for all that was measured, or None.

    Raises:
        ReviewError: there are no reviews to estimate from.
    """
    prepare_output("--out", out)
    found = quality_of_run(run_dir)
    for notice in found.notices:
        complain(f"note: {notice}")
    say(*tell(found))
    if out is not None:
        write_json(found, run_dir, out)
        say("", f"quality: {out}")
    return 0


def tell(found: Quality) -> list[str]:
    """Return what is said of the quality of labels."""
    rows = [_row("all labels", found.whole)]
    for channel, own in found.by_decision.items():
        rows.append((str(channel), *[""] * (len(_HEADS) - 1)))
        rows += [_row(f"  {name}", one) for name, one in own.items()]
    cells = [cell for row in rows for cell in row]
    undefined = [_WHY_UNDEFINED] if _UNDEFINED in cells else []
    marked = [_WHY_MARKED] if any(cell.endswith(_MARK) for cell in cells) else []
    return [*_reviewed(found), "", *_table(_HEADS, rows), *marked, *undefined, "", *_meaning(found)]


def _reviewed(found: Quality) -> Iterator[str]:
    counts = found.findings
    yield (
        f"{sum(counts.values()):,} of {found.whole.labels:,} labels are judged, {found.whole.random:,} of them with a "
        f"result and drawn at random: {counts[Finding.RIGHT]:,} right, {counts[Finding.REWORDED]:,} right but for "
        f"their wording, {counts[Finding.WRONG]:,} wrong, {counts[Finding.UNSURE]:,} unsure"
    )
    if found.begun_random:
        yield f"  {found.begun_random:,} random labels of batches that are begun are not judged yet"


def _meaning(found: Quality) -> Iterator[str]:
    whole = found.whole
    right = whole.right.unreviewed
    if right.value is None:
        yield f"Of labels that nobody decided on nothing can be said: {right.reason}."
        return
    yield (
        f"Of the {right.labels:,} labels that nobody decided on, an estimated {_share(right)} are right, and "
        f"{_share(whole.verbatim.unreviewed)} word for word."
    )
    assert right.low is not None
    is_left = sum(found.findings.values()) < whole.labels
    narrowed = "; reviewing more batches narrows it" if is_left else ""
    yield f"At worst by this interval, {1 - right.low:.1%} of them are wrong{narrowed}."
    worst, best = whole.right_if_unsure_wrong.unreviewed, whole.right_if_unsure_right.unreviewed
    if whole.unsure and worst.labels:
        yield f"With what reviewers are unsure of counted as wrong: {_share(worst)}; as right: {_share(best)}."
    omitted = whole.omitted.unreviewed
    if omitted.value is None and omitted.labels:
        yield f"How many lack a component is not known: {omitted.reason} (of tasks that begin with a blank list)."
    elif omitted.value is not None:
        yield f"An estimated {_share(omitted)} of them lack a component that people hold critical."
    if found.shown_lists:
        yield (
            f"Shown the label's own list, reviewers added to {found.added_to_shown:,} of {found.shown_lists:,}: who is "
            "shown a list misses more."
        )


def _row(name: str, one: Measured) -> tuple[str, ...]:
    counts = (one.labels, one.decided, one.random, one.right.unreviewed.labels)
    lists = f"{one.omitted.all.sampled:,}"
    return (
        name,
        *(f"{count:,}" for count in counts),
        _share(one.right.unreviewed),
        lists,
        _share(one.omitted.unreviewed),
    )


def _share(share: Left) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "-" if not share.labels else _UNDEFINED
    if share.collapsed:
        return f"{share.low:.1%} to {share.high:.1%}{_MARK}"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines; the first column begins at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for first, *others in (heads, *rows):
        cells = [f"{text:>{width}}" for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return lines
