import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.judges import rows_on
from coc_labeling.judge.rows import Rows
from coc_labeling.judge.stages import Stage
from coc_labeling.judge.summary import informative, joined, statistics_of


def rows_of(folder: Path, *rows: dict) -> Rows:
    """Return rows as they are read back; all labels of a clip are as they were."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = rows_on({(row["clip_id"], row["event_timestamp"]): "l" for row in rows})
    found.read(str(path))
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


def test_scores_are_summed_up_by_decision_and_controls_are_left_out(tmp_path):
    rows = [
        row(0.2),
        row(0.6, event_timestamp=6),
        row(1.0, event_timestamp=7, longitudinal=None),
        row(None, event_timestamp=8),
        row(0.0, event_timestamp=5, telling="planted"),
    ]
    found = rows_of(tmp_path, *rows)
    told = statistics_of(found)
    assert told["labels"] == 4
    assert told["counts"] == {"cause": {"evaluated": 3, "skipped": 0, "errors": 1}}
    assert told["scores"]["causal_evidence_score"] == {"mean": 0.6, "median": 0.6, "n": 3}
    assert told["by_longitudinal"]["stop"]["causal_evidence_score"] == {"mean": 0.4, "median": 0.4, "n": 2}
    assert told["by_longitudinal"]["none"]["causal_evidence_score"]["n"] == 1
    assert told["decisions"] == {"none": 1, "stop": 3}
    assert told["bins"]["causal_evidence_score"] == [0, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    assert informative(found).planted == 1
    assert found.model_ids == ["m"]


@given(st.lists(st.sampled_from([n / 10 for n in range(11)]), min_size=1, max_size=11))
def test_a_tenth_begins_with_its_own_lower_edge(scores):
    with TemporaryDirectory() as folder:
        rows = [row(score, event_timestamp=number) for number, score in enumerate(scores)]
        bins = statistics_of(rows_of(Path(folder), *rows))["bins"]["causal_evidence_score"]
    assert bins == [sum(min(round(10 * score), 9) == tenth for score in scores) for tenth in range(10)]


def test_a_twin_counts_only_beside_its_planted_label(tmp_path):
    def control(number: int, telling: str, score: float | None) -> dict:
        # 0 is good in the last score only: turned round, all four are alike.
        made = row(score, event_timestamp=number, telling=telling)
        if made["evaluation"]:
            made["evaluation"]["causal_hallucination_score"] = 1 - score
        return made

    rows = [row(0.5, event_timestamp=number) for number in range(8)]
    rows += [control(number, "twin", 0.9) for number in range(8)]
    rows += [control(number, "planted", 0.1 if number < 6 else None) for number in range(7)]
    found = informative(rows_of(tmp_path, *rows))
    assert (found.true, found.planted) == (8, 6)
    of_stage = found.by_stage[Stage.CAUSE]
    assert (of_stage.auc, of_stage.true, of_stage.planted) == (1.0, 6, 6)
    assert found.by_score["causal_hallucination_score"].auc == 1.0


def test_a_score_that_was_not_asked_for_is_none_in_the_file_and_in_no_mean(tmp_path):
    evaluation = {"behavior_match_score": 1.0, "longitudinal_match_score": None, "lateral_match_score": 0.5}
    whole = evaluation | {"behavior_hallucination_score": 0.0, "reason": ""}
    found = rows_of(tmp_path, row(stage=2, question_hash="q2", evaluation=whole, error=None))
    assert "longitudinal_match_score" not in statistics_of(found)["scores"]
    assert [label["evaluation"] for label in joined(found)] == [{"behaviour": whole}]


def test_no_rows_come_to_nothing(tmp_path):
    found = rows_on({})
    assert statistics_of(found) == {
        "labels": 0,
        "decisions": {},
        "counts": {},
        "scores": {},
        "bins": {},
        "by_longitudinal": {},
    }
    assert informative(found).informative is None
    assert (list(joined(found)), found.model_ids, found.outdated) == ([], [], 0)


@pytest.mark.parametrize("rows", [[row()], [row(event_timestamp=6), row(telling="planted")]], ids=["label", "control"])
def test_controls_are_no_labels_of_the_final_file(tmp_path, rows):
    assert len(list(joined(rows_of(tmp_path, *rows)))) == 1
