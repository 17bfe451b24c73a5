import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.judges import rows_on
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.questions import Due
from coc_labeling.judge.rows import Kind, Rows
from coc_labeling.judge.stages import Stage

EVIDENCE = Due(Stage.EVIDENCE)


def row(**changes) -> dict:
    whole = {
        "clip_id": "a",
        "event_timestamp": 5,
        "stage": 1,
        "telling": "label",
        "question_hash": "q1",
        "label_hash": "l",
        "evaluation": {"visual_evidence_score": 0.5, "scene_factor_hallucination_score": 0.0, "reason": "ü"},
        "error": None,
        "usage": {"prompt_tokens": 7},
    }
    return whole | changes


def read(path, *lines) -> Rows:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    rows = rows_on({("a", 5): "l", ("a", 6): "l"})
    rows.read(str(path))
    return rows


def test_the_last_row_of_a_question_counts_and_all_of_them_cost(tmp_path):
    path = tmp_path / "evaluations.jsonl"
    rows = read(path, row(evaluation=None, error="x: y"), row())
    assert rows.kind(0, EVIDENCE) is Kind.EVALUATED
    assert list(rows.table(Telling.LABEL)["scores"][0, 0, :2]) == [0.5, 0.0]
    assert rows.spent(str(path)).prompt_tokens == rows.spent().prompt_tokens == 14
    assert rows.spent("another").prompt_tokens == 0


def test_a_row_with_an_error_or_about_another_label_or_question_answers_nothing(tmp_path):
    assert read(tmp_path / "rows", row(evaluation=None, error="x: y")).kind(0, EVIDENCE) is Kind.ERROR
    for other in (row(label_hash="another"), row(question_hash="another"), row(telling="twin"), row(stage=2)):
        assert read(tmp_path / "rows", other).kind(0, EVIDENCE) is Kind.UNKNOWN


def test_why_there_was_nothing_to_judge_is_known_again(tmp_path):
    rows = read(tmp_path / "rows", row(evaluation=None, skipped="no_factor_cited: none"))
    assert rows.kind(0, EVIDENCE) is Kind.SKIPPED
    assert rows.skipped(0, EVIDENCE) == "no_factor_cited: none"


def test_a_label_that_was_changed_and_changed_back_is_not_judged_again(tmp_path):
    rows = read(tmp_path / "rows", row(), row(label_hash="another"))
    assert rows.kind(0, EVIDENCE) is Kind.EVALUATED
    assert rows.outdated == 0


@pytest.mark.parametrize(
    ("change", "counted", "outdated"),
    [
        ({}, 1, 0),
        ({"question_hash": "another"}, 0, 0),
        ({"label_hash": "another"}, 0, 1),
        ({"clip_id": "gone"}, 0, 1),
    ],
)
def test_only_scores_of_today_s_labels_and_questions_count(tmp_path, change, counted, outdated):
    rows = read(tmp_path / "rows", row(**change))
    assert (len(list(rows.labels())), rows.outdated) == (counted, outdated)


def test_of_a_label_that_cannot_be_read_no_score_counts(tmp_path):
    path = tmp_path / "rows"
    read(path, row(label_hash=""), row())
    rows = rows_on({("a", 5): ""})
    rows.read(str(path))
    assert (rows.kind(0, EVIDENCE), rows.outdated) == (Kind.UNKNOWN, 1)


def test_texts_are_read_again_from_their_files(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    read(second, row(coc_label="Wait."), row(evaluation=None, stage=2, question_hash="q2", error="x: y"))
    rows = read(first, b"{", row(coc_label="Stop.", event_timestamp=6), row(coc_label="Yield, ü."))
    rows.read(str(second))
    ((evidence, one), (behaviour, other)), ((_, last),) = rows.labels()
    assert (evidence, behaviour) == (Stage.EVIDENCE, Stage.BEHAVIOUR)
    assert (one["coc_label"], other["error"], last["coc_label"]) == ("Wait.", "x: y", "Stop.")


def test_a_file_that_changes_meanwhile_is_named(tmp_path):
    rows = read(tmp_path / "rows", row())
    (tmp_path / "rows").write_bytes(b"")
    with pytest.raises(CocLabelingError, match="rows: changed while it was read"):
        list(rows.labels())


def test_texts_of_rows_do_not_stay_in_memory(tmp_path):
    """Of each row 56 bytes stay, however much was said: a million rows fit."""
    count, said = 500, "x" * 20_000
    lines = [row(event_timestamp=number, model_response_raw=said, coc_label=said) for number in range(count)]
    path = tmp_path / "rows"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    rows = rows_on({("a", number): "l" for number in range(count)})
    tracemalloc.start()
    rows.read(str(path))
    kept, _ = tracemalloc.get_traced_memory()
    assert sum(len(one) for one in rows.labels()) == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < count * 1000
    assert peak < count * 1000 + 10 * len(said)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"null",
        row(clip_id=None),
        row(event_timestamp="5"),
        row(stage=4),
        row(stage=None),
        row(telling=None),
        row(telling=[]),
        row(stage=[]),
        row(label_hash=1),
        row(error=1),
        row(evaluation=None),
        row(evaluation={"visual_evidence_score": "1"}),
        row(evaluation={"visual_evidence_score": 2}),
        row(evaluation={}),
        b'{"a":' * 100_000,
        json.dumps(row()).encode()[:-9],
    ],
    ids=lambda line: str(line)[:40],
)
def test_what_is_no_row_is_counted_and_left_out(tmp_path, line):
    rows = read(tmp_path / "rows", row(), line, b"", row(event_timestamp=6))
    assert (len(list(rows.labels())), rows.torn) == (2, 1)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(tmp_path_factory, content):
    rows = read(tmp_path_factory.mktemp("rows") / "rows", content.replace(b"\n", b" "), row())
    assert rows.kind(0, EVIDENCE) is Kind.EVALUATED
