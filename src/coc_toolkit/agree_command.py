"""``coc agree`` on the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batch_runs.terminal import complain, say
from coc_labeling.agreement.comparing import SAME_DECISION, CompareOptions, Comparison, compare
from coc_labeling.agreement.decided import AgreementSide, Decided, State
from coc_labeling.agreement.output import write_json, write_pairs
from coc_labeling.agreement.people import PeopleSide
from coc_labeling.agreement.resampling import Measured
from coc_labeling.agreement.runs import RunSide
from coc_labeling.agreement.statistics import Agreement
from coc_labeling.errors import CocLabelingError
from coc_toolkit.output_files import prepare_output
from driving_clips import files

_CATEGORIES_SHOWN = 8  # of a confusion table; all stand in the file
_TEXT_SHOWN = 200  # characters of a sentence

PEOPLE = "people"


@dataclass(frozen=True)
class SideName:
    """What the user calls a side: a run, or people on its labels: ``who`` is one of them, or ``people`` for all."""

    run_dir: str
    who: str | None = None

    def side(self, run_name: str) -> AgreementSide:
        """Return the side itself; its run is called ``run_name`` in tables."""
        if self.who is None:
            return RunSide(self.run_dir, run_name)
        return PeopleSide(self.run_dir, f"{run_name}@{self.who}", None if self.who == PEOPLE else self.who)


def side_name(text: str) -> SideName:
    """Read ``RUN_DIR``, ``RUN_DIR@people`` or ``RUN_DIR@NAME``; folders and names may have an @ themselves.

    Example:
        >>> side_name("no/such/folder@people")
        SideName(run_dir='no/such/folder@people', who=None)
    """
    if not files.is_dir(text):
        places = [place for place, letter in enumerate(text) if letter == "@"]
        for place in reversed(places):
            if files.is_dir(text[:place]) and text[place + 1 :]:
                return SideName(text[:place], text[place + 1 :])
    return SideName(text)


def run_agreement(side_a: str, side_b: str, options: CompareOptions, out: str | None, pairs: str | None) -> int:
    """Compare two sides, print what came of it and write it; returns the exit code.

    Args:
        side_a: an experiment folder, or people who reviewed one: ``RUN_DIR@people``, ``RUN_DIR@NAME``.
        side_b: another one; ``people`` alone stands for those who reviewed the run of side A.
        options: how they are compared.
        out: a JSON file for all that was measured, or None.
        pairs: a CSV file with a row per pair, or None.

    Raises:
        CocLabelingError: the sides cannot be compared.
    """
    a = side_name(side_a)
    b = SideName(a.run_dir, PEOPLE) if side_b == PEOPLE else side_name(side_b)
    same_run = files.absolute(a.run_dir) == files.absolute(b.run_dir)
    if same_run and a.who == b.who:
        raise CocLabelingError(f"{side_a}: compared with itself. Name two different sides.")
    prepare_output("--out", out)
    prepare_output("--pairs", pairs)
    name_a, name_b = _names(a.run_dir, b.run_dir)
    found = compare(a.side(name_a), b.side(name_a if same_run else name_b), options)
    for notice in found.notices:
        complain(f"note: {notice}")
    say(*tell(found))
    if out is not None:
        write_json(found, out)
        say("", f"agreement: {out}")
    if pairs is not None:
        write_pairs(found, pairs)
        say(f"pairs: {pairs}")
    return 0


def _names(run_a: str, run_b: str) -> tuple[str, str]:
    """Name each run by as few of its path's last parts as tell them apart; one and the same by its last part."""
    parts_a, parts_b = (files.absolute(path).split("/") for path in (run_a, run_b))
    for last in range(1, max(len(parts_a), len(parts_b)) + 1):
        name_a, name_b = ("/".join(parts[-last:]) for parts in (parts_a, parts_b))
        if name_a != name_b:
            return name_a, name_b
    return parts_a[-1], parts_b[-1]


def tell(found: Comparison) -> list[str]:
    """Return what is said of a comparison."""
    lines = [f"A  {_about(found.side_a.about())}", f"B  {_about(found.side_b.about())}", "", *_pairs(found), ""]
    lines += [*_questions(found), ""]
    for name, one in found.agreements.items():
        if one.names:
            lines += [f"{name}: A in rows, B in columns", *_confusion(one), "", *_by_category(one), ""]
    lines += [*_causes(found)]
    if found.examples:
        lines += ["", "disagreements, the commonest first", *_examples(found)]
    return lines


def _about(about: dict) -> str:
    makers = ", ".join(about.get("models") or about.get("reviewers") or ())
    return f"{about['name']} ({makers})" if makers else str(about["name"])


def _pairs(found: Comparison) -> Iterator[str]:
    pairing, ticks = found.pairing, found.options.tolerance_ticks
    within = f"at most {ticks} ticks of 0.1 s apart" if ticks else "at the same microsecond"
    yield f"{len(pairing):,} pairs, {within}; {len(found.compared):,} with decisions on both sides"
    for (a, b), count in ((key, count) for key, count in _states(found) if key != (State.DECIDED, State.DECIDED)):
        yield f"  not compared: {count:,} {a.title} in A, {b.title} in B"
    sides = (("A", found.a, pairing.unpaired_a, pairing.clips_a), ("B", found.b, pairing.unpaired_b, pairing.clips_b))
    for name, side, unpaired, clips in sides:
        yield f"  {name}: {_unpaired(side, unpaired)}; {clips:,} of {len(side.clips):,} clips are in {name} alone"


def _states(found: Comparison) -> Iterator[tuple[tuple[State, State], int]]:
    for a in State:
        for b in State:
            if count := int(found.pairing.states[a, b]):
                yield (a, b), count


def _unpaired(side: Decided, unpaired: dict[State, int]) -> str:
    total = sum(unpaired.values())
    kinds = ", ".join(f"{count:,} {state.title}" for state, count in unpaired.items() if count)
    return f"{total:,} of {len(side):,} moments unpaired" + (f" ({kinds})" if kinds else "")


def _questions(found: Comparison) -> list[str]:
    heads = ("", "pairs", "clips", "agree (95 %)", "Cohen's kappa (95 %)")
    rows = [
        (name, f"{one.raw.n:,}", f"{one.raw.clips:,}", _share(one.raw), _number(one.kappa))
        for name, one in found.agreements.items()
    ]
    reasons = [
        f"  {name}: {reason}"
        for name, one in found.agreements.items()
        for reason in sorted({one.raw.reason, one.kappa.reason} - {""})
    ]
    return [*_table(heads, rows), *reasons]


def _confusion(one: Agreement) -> list[str]:
    order = [one.names.index(category.name) for category in one.categories][:_CATEGORIES_SHOWN]
    heads = ("", *(one.names[column] for column in order))
    rows = [(one.names[row], *(f"{one.confusion[row, column]:,}" for column in order)) for row in order]
    left_out = len(one.names) - len(order)
    return _table(heads, rows) + ([f"  {left_out} rarer ones are not shown; --out has them"] if left_out else [])


def _by_category(one: Agreement) -> list[str]:
    heads = ("", "A", "B", "both", "positive agreement (95 %)", "kappa (95 %)")
    rows = [
        (
            own.name,
            f"{own.said_a:,}",
            f"{own.said_b:,}",
            f"{own.both:,}",
            _share(own.positive_agreement),
            _number(own.kappa),
        )
        for own in one.categories
    ]
    return _table(heads, rows)


def _causes(found: Comparison) -> list[str]:
    heads = (
        "causes, where both decide",
        "by",
        "pairs",
        "mean Jaccard (95 %)",
        "same set (95 %)",
        "neither",
        "A alone",
        "B alone",
    )
    rows = [
        (
            f"{channel}, {'the same' if pairs == SAME_DECISION else 'anything'}",
            by,
            f"{own.jaccard.n:,}",
            _number(own.jaccard),
            _share(own.exact),
            f"{own.neither:,}",
            f"{own.only_a:,}",
            f"{own.only_b:,}",
        )
        for channel, counted in found.causes.items()
        for pairs, kinds in counted.items()
        for by, own in kinds.items()
    ]
    return _table(heads, rows)


def _examples(found: Comparison) -> Iterator[str]:
    for one in found.examples:
        later = f", B at {one.t_us_b / 1e6:.2f} s" if one.t_us_a != one.t_us_b else ""
        at = f"{one.clip_id} at {one.t_us_a / 1e6:.2f} s{later}"
        yield f"  {one.channel}: {one.said_a} / {one.said_b} ({one.times:,} pairs), such as {at}"
        said = ((one.causes_a, one.sentence_a), (one.causes_b, one.sentence_b))
        for name, (causes, sentence) in zip("AB", said, strict=True):
            yield f"    {name} {', '.join(causes)}: {_short(sentence)}"


def _short(sentence: str) -> str:
    line = " ".join(sentence.split()) or "(no sentence)"
    return line if len(line) <= _TEXT_SHOWN else f"{line[:_TEXT_SHOWN]} ..."


def _share(measured: Measured) -> str:
    return _with_interval(measured, "{:.1%}")


def _number(measured: Measured) -> str:
    return _with_interval(measured, "{:.3f}")


def _with_interval(measured: Measured, form: str) -> str:
    if measured.value is None:
        return "undefined" if measured.n else "-"
    value = form.format(measured.value)
    if measured.low is None or measured.high is None:
        return f"{value} (no interval)"
    return f"{value} ({form.format(measured.low)} to {form.format(measured.high)})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines; the first column begins at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for first, *others in (heads, *rows):
        cells = [f"{text:>{width}}" for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(["", f"{first:<{widths[0]}}", *cells]).rstrip())
    return lines
