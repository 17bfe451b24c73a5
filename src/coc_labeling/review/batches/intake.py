"""Labels of a run, and labels with a known answer, on their way into the queue."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import NamedTuple

from coc_labeling.checks.results import load_checks
from coc_labeling.errors import RecordError
from coc_labeling.judge.controls import twin_of
from coc_labeling.judge.selection import Labels, Moment, labels_of
from coc_labeling.planting import KINDS, Error, Known, plant
from coc_labeling.prompts import text_hash
from coc_labeling.review.store import ReviewStore
from coc_labeling.schema import CoCLabel
from coc_labeling.up_to_date import stamps_now
from coc_labeling.work import item_of
from driving_clips import files

GOOD = "good"  # the truth of a planted label without an error; of others it is the name of the error


class Checked(NamedTuple):
    """What ``coc check`` says of a label: risk and status with its reasons."""

    risk: float | None = None
    status: str | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class LabelRow:
    """A label as the queue holds it; ``truth`` only of planted ones."""

    clip_id: str
    t_us: int
    label: CoCLabel
    model: str | None = None
    risk: float | None = None
    check_status: str | None = None
    check_reasons: Sequence[str] = ()
    truth: str | None = None


@dataclass(frozen=True)
class Intake:
    """What has come in.

    Attributes:
        added: labels that were not in the queue yet.
        abstentions: records without a label, which are not reviewed.
        unreadable: records that cannot be read, by their names, with the reason.
    """

    added: int
    abstentions: int
    unreadable: dict[str, str]


@dataclass(frozen=True)
class KnownLabel:
    """A label of a moment that is known to be right.

    Attributes:
        clip_id, t_us: the moment.
        label: what is right.
        known: what is known of the scene; None where that is nothing.
        check: says what checks find of a label of this moment, so that a planted one looks like any other.
    """

    clip_id: str
    t_us: int
    label: CoCLabel
    known: Known | None
    check: Callable[[CoCLabel], Checked] = lambda _label: Checked()


def add_run(store: ReviewStore, run_dir: str) -> Intake:
    """Add the labels of a run that the queue does not have, with risk and result of their checks where there are any.

    A label that has changed since is another one: it comes in beside the earlier, whose reviews stay. Results of checks
    are brought up to date; those made of another content of a record do not count.

    Raises:
        CocLabelingError: the run has no labels.
    """
    labels = labels_of(run_dir)
    unreadable = dict(labels.unread)
    abstentions = [labels.abstentions]

    def rows() -> Iterator[LabelRow]:
        """Yield the labels that can be read; what cannot is counted on the way."""
        checks = _checks_of(labels, run_dir)
        models = labels.table.column("model")
        for moment, number in labels.numbers.items():
            try:
                label = labels.read(number)
            except RecordError as error:
                unreadable[item_of(*moment)] = " ".join(str(error).split())
                continue
            if label.abstention is not None:
                abstentions[0] += 1
                continue
            yield _row(moment, label, checks.get(moment, Checked()), model=models[number].as_py())

    added = add_labels(store, rows())
    return Intake(added, abstentions[0], unreadable)


def add_labels(store: ReviewStore, rows: Iterable[LabelRow]) -> int:
    """Add labels that are not there yet; return how many those were."""
    with store.database.writing() as connection:
        before = _count(connection)
        connection.executemany(_INSERT, (_values(row) for row in rows))
        return _count(connection) - before


def add_planted(store: ReviewStore, right: Iterable[KnownLabel]) -> int:
    """Add labels with a known answer: of each one that is right, itself or the same with an error, by turns.

    Never both: who saw the two would know. The next error that fits a label is taken, so that kinds get mixed; where
    none fits, or nothing is known of the scene, it stays right, and a later one has an error instead. Where an error
    would fit, the right label is retold as it would be with it: so the wording does not say which ones are wrong.

    Returns:
        How many of them carry an error.
    """
    rows, wrong = [], 0
    for number, one in enumerate(right):
        label, truth = one.label, GOOD
        found = _with_error(one, turn=wrong)
        if found is not None and 2 * wrong < number:
            label, truth, wrong = found[1], str(found[0]), wrong + 1
        elif found is not None:
            label = twin_of(label, found[1])
        rows.append(_row((one.clip_id, one.t_us), label, one.check(label), truth=truth))
    add_labels(store, rows)
    return wrong


def _with_error(right: KnownLabel, turn: int) -> tuple[Error, CoCLabel] | None:
    """Return a label with the first error that fits it, tried from the one whose turn it is; None where none does."""
    if right.known is None:
        return None
    for number in range(len(KINDS)):
        error = KINDS[(turn + number) % len(KINDS)]
        planted = plant(right.label, error, right.known)
        if planted is not None:
            return error, planted
    return None


# Conflicts are of generated labels that are there already: only what checks say of them may have changed.
_INSERT = """
    INSERT INTO labels (origin, clip_id, t_us, label_hash, label, longitudinal, lateral, sentence, model, risk,
                        check_status, check_reasons, truth)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (clip_id, t_us, label_hash, origin) DO UPDATE
    SET risk = excluded.risk, check_status = excluded.check_status, check_reasons = excluded.check_reasons
"""


def _row(
    moment: Moment, label: CoCLabel, checked: Checked, *, model: str | None = None, truth: str | None = None
) -> LabelRow:
    return LabelRow(*moment, label, model, checked.risk, checked.status, checked.reasons, truth)


def _values(row: LabelRow) -> tuple[object, ...]:
    label = row.label
    text = label.model_dump_json(exclude_none=True)
    return (
        "planted" if row.truth else "generated",
        row.clip_id,
        row.t_us,
        text_hash(text),
        text,
        label.longitudinal.decision if label.longitudinal else None,
        label.lateral.decision if label.lateral else None,
        label.effect_on_ego_behavior,
        row.model,
        row.risk,
        row.check_status,
        json.dumps(list(row.check_reasons), ensure_ascii=False),
        row.truth,
    )


def _count(connection: Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM labels").fetchone()[0]
    return count


def _checks_of(labels: Labels, run_dir: str) -> dict[Moment, Checked]:
    """Return checks by moment, those of what the records say now; none where none have been made."""
    if not any(name.startswith("checks.") for name in files.list_names(run_dir, ".parquet")):
        return {}
    sizes, times = stamps_now(labels.table, run_dir)
    checks = load_checks(run_dir)
    names = ("clip_id", "event_start_timestamp", "risk", "status", "reasons", "file_size", "file_mtime_ns")
    found = {}
    for clip_id, t_us, *checked, size, time in zip(*(checks.column(name).to_pylist() for name in names), strict=True):
        number = labels.numbers.get((clip_id, t_us))
        if number is not None and (size, time) == (sizes[number], times[number]):
            found[clip_id, t_us] = Checked(*checked)
    return found
