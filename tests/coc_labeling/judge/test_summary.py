import pytest

from coc_labeling.judge.controls import Telling
from coc_labeling.judge.results import Key, Rows
from coc_labeling.judge.stages import Stage
from coc_labeling.judge.summary import current, joined, model_ids, statistics_of

HASHES = {stage: f"q{int(stage)}" for stage in Stage}


def rows_of(*rows: dict) -> Rows:
    found = Rows()
    for row in rows:
        key = Key(row["clip_id"], row["event_timestamp"], Stage(row["stage"]), Telling(row["telling"]))
        found.latest[key, row["question_hash"]] = row
    return found


def row(score: float | None = 0.5, **changes) -> dict:
    evaluation = None if score is None else dict.fromkeys(Stage.CAUSE.scores, score) | {"reason": ""}
    whole = {
        "clip_id": "a",
        "event_timestamp": 5,
        "stage": 3,
        "telling": "label",
        "planted": None,
        "question_hash": "q3",
        "label_hash": "l",
        "longitudinal": "stop",
        "coc_label": "Stop.",
        "evaluation": evaluation,
        "error": None if evaluation else "refused: no",
        "skipped": None,
        "evaluator_model_id": "m",
    }
    return whole | changes


@pytest.mark.parametrize(
    ("change", "counted", "outdated"),
    [
        ({}, 1, 0),
        ({"question_hash": "another"}, 0, 0),
        ({"label_hash": "another"}, 0, 1),
        ({"clip_id": "gone"}, 0, 1),
    ],
)
def test_only_scores_of_today_s_labels_and_questions_count(change, counted, outdated):
    found = current(rows_of(row(**change)), HASHES, {("a", 5): "l"})
    assert (len(joined(found)), found.outdated) == (counted, outdated)


def test_a_label_that_is_not_known_is_not_taken_to_have_changed():
    assert len(joined(current(rows_of(row()), HASHES, {("a", 5): ""}))) == 1


def test_scores_are_summed_up_by_decision_and_controls_are_left_out():
    rows = [
        row(0.2),
        row(0.6, event_timestamp=6),
        row(1.0, event_timestamp=7, longitudinal=None),
        row(None, event_timestamp=8),
        row(0.0, event_timestamp=5, telling="planted"),
    ]
    found = current(rows_of(*rows), HASHES, {("a", t): "l" for t in range(5, 9)})
    told = statistics_of(found)
    assert told["labels"] == 4
    assert told["counts"] == {"cause": {"evaluated": 3, "skipped": 0, "errors": 1}}
    assert told["scores"]["causal_evidence_score"] == {"mean": 0.6, "median": 0.6, "n": 3}
    assert told["by_longitudinal"]["stop"]["causal_evidence_score"] == {"mean": 0.4, "median": 0.4, "n": 2}
    assert told["by_longitudinal"]["none"]["causal_evidence_score"]["n"] == 1
    assert found.scored(Telling.PLANTED) == 1
    assert model_ids(found) == ["m"]
