import json
import shutil
from pathlib import Path

import pytest

from builders.pages import report
from coc_labeling.judge.results import JudgeFolder
from coc_labeling.report.judges import judged
from coc_labeling.report.page import usd
from coc_labeling.report.runs import find_runs

HOSTILE = "<script>alert(4)</script>"
SCORES = ("visual_evidence_score", "scene_factor_hallucination_score")


def validation(**judge: object) -> dict:
    """Return results of two labels, scored in the first stage only."""
    return {
        "judge": {
            "name": "judge-model",
            "model_ids": ["judge-model-1"],
            "self_judged": False,
            "informative": True,
            "reason": "evidence: planted errors are told apart",
            "auc_by_stage": {"evidence": {"auc": 0.9, "lower": 0.7, "n_planted": 7, "separates": True}},
            "auc_by_score": {"visual_evidence_score": {"auc": 0.875}, "scene_factor_hallucination_score": None},
            "n_true": 6,
            "n_planted": 7,
        }
        | judge,
        "summary": {
            "labels": 2,
            "decisions": {"follow_lead": 2},
            "counts": {"evidence": {"evaluated": 2, "skipped": 3, "errors": 1}},
            "scores": {
                "visual_evidence_score": {"mean": 0.875, "median": 0.875, "n": 2},
                "scene_factor_hallucination_score": {"mean": 0.0, "median": 0.0, "n": 2},
            },
            "bins": {"visual_evidence_score": [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]},
            "by_longitudinal": {"follow_lead": {name: {"mean": 0.5} for name in SCORES}},
            "outdated_rows": 4,
            "tokens": {"prompt_tokens": 1000, "response_tokens": 200, "reasoning_tokens": 20, "cached_tokens": 250},
            "cost_usd": 0.5,
        },
        "labels": [],
    }


def with_stages(**separates: bool | None) -> dict:
    """Return results of stages that separate, do not, or were not measured."""
    content = validation(
        auc_by_stage={
            name: None if own is None else {"auc": 0.9 if own else 0.5, "lower": 0.7, "n_planted": 7, "separates": own}
            for name, own in separates.items()
        },
        informative=None if set(separates.values()) == {None} else False not in separates.values(),
    )
    content["summary"]["counts"] = {name: {"evaluated": 2} for name in separates}
    return content


@pytest.fixture
def run(comma, tmp_path) -> Path:
    return Path(shutil.copytree(comma.experiment, tmp_path / "run"))


def write(run: Path, content: object, judge: str = "judge-model") -> None:
    folder = run / "validation" / judge
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "validation.json").write_text(content if isinstance(content, str) else json.dumps(content))


def price(run: Path, **summary: object) -> None:
    """Say in the run's summary what it cost."""
    path = run / "run_summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | summary))


def test_a_run_without_judge_says_how_to_get_one(run, tmp_path):
    assert f"coc validate {run} --model-name gpt5.5 --sample 200" in report(tmp_path, run, sample=0).said


def test_scores_are_shown_by_stage_and_by_decision(run, tmp_path):
    write(run, validation())
    said = report(tmp_path, run, sample=0).said
    assert "judge-model 2 labels of" in said
    assert "evidence yes 7 0.90 0.70" in said
    assert "evidence 2 scored, 3 with nothing to judge, 1 errors visual evidence score" in said
    assert "visual evidence score 2 0.88 0.88 0.88" in said
    assert "scene factor hallucination score 0 is good 2 0.00 0.00 – –" in said
    assert "follow lead 2 0.50 0.50" in said
    assert "4 scores are of labels that have changed" in said


def test_distribution_is_that_of_the_file(run):
    write(run, validation())
    (stage,) = judged(find_runs([str(run)])).results[0].stages
    assert [score.bins for score in stage.scores] == [(0, 0, 0, 0, 0, 0, 0, 1, 0, 1), ()]


def test_labels_are_not_read(run):
    """There may be 300,000 of them, of some kilobytes each."""
    content = validation()
    folder = run / "validation" / "judge-model"
    folder.mkdir(parents=True)
    del content["labels"]
    JudgeFolder(str(folder)).write_final(content, [{"coc_label": "Stop."}])
    path = folder / "validation.json"
    path.write_text(path.read_text().replace('"Stop."', "no JSON"))
    assert judged(find_runs([str(run)])).results[0].labels == 2


@pytest.mark.parametrize(
    ("separates", "said"),
    [
        ({"evidence": True, "cause": True}, "Informative Planted errors are scored lower in every stage."),
        ({"evidence": None, "cause": True}, "Informative in part Planted errors are scored lower in cause: do not"),
        (
            {"evidence": True, "cause": False},
            "UNINFORMATIVE This judge's scores say nothing about the labels: it scores",
        ),
        ({"evidence": False, "cause": None}, "it does not score planted errors lower."),
        ({"evidence": None}, "NOT MEASURED"),
    ],
)
def test_it_is_said_of_each_stage_whether_it_separates(run, tmp_path, separates, said):
    write(run, with_stages(**separates))
    page = report(tmp_path, run, sample=0).said
    assert said in page
    words = {True: "yes 7 0.90 0.70", False: "no 7 0.50 0.70", None: "not measured 0 – –"}
    for name, own in separates.items():
        assert f"{name} {words[own]}" in page
        doubt = {True: "", False: " · does not separate: do not rely on it", None: " · not measured: do not rely on it"}
        assert f"{name} 2 scored{doubt[own]}" in page


@pytest.mark.parametrize(
    ("informative", "said"), [(False, "UNINFORMATIVE"), (None, "NOT MEASURED"), (True, "Informative")]
)
def test_whether_a_judge_means_anything_is_said_with_the_reason(run, tmp_path, informative, said):
    write(run, validation(informative=informative, reason="because of this"))
    page = report(tmp_path, run, sample=0)
    assert page.said.count(said) == 1
    assert "because of this" in page.said


def test_a_model_that_judged_itself_is_marked(run, tmp_path):
    write(run, validation(self_judged=True))
    assert "self-judged" in report(tmp_path, run, sample=0).said


def test_hostile_names_and_reasons_are_shown_as_text(run, tmp_path):
    content = validation(name=HOSTILE, reason=HOSTILE, model_ids=[HOSTILE])
    content["summary"]["by_longitudinal"][HOSTILE] = {}
    write(run, content)
    page = report(tmp_path, run, sample=0)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) == 5  # one of them in the section of cost


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"judge": 1, "summary": {}}', "[" * 100_000])
def test_damaged_results_are_told(run, tmp_path, content):
    write(run, content)
    assert "validation.json: " in report(tmp_path, run, sample=0).said


def test_odd_values_do_not_stop_the_report(run, tmp_path):
    summary = {"counts": {"evidence": 1}, "tokens": 5, "decisions": 1, "by_longitudinal": {"stop": 3}}
    summary |= {"scores": {SCORES[0]: {"n": 3, "mean": "high"}, SCORES[1]: 7}, "bins": {SCORES[0]: [-1, "x"]}}
    write(run, {"judge": {"model_ids": 3, "auc_by_score": []}, "summary": summary, "labels": 1})
    assert "unnamed" in report(tmp_path, run, sample=0).said


def test_rules_cost_nothing(run, tmp_path):
    assert "No model was asked: nothing was paid for." in report(tmp_path, run, sample=0).said


def test_cost_of_labelling_and_of_judging(run, tmp_path):
    usage = {"prompt_tokens": 2000, "response_tokens": 100, "reasoning_tokens": 40, "cached_tokens": 1500}
    price(run, experiment=usage, cost_usd=0.003)
    write(run, validation())
    said = report(tmp_path, run, sample=0).said
    assert "3 2,000 75 % 100 40 $0.003 $1.00" in said
    assert "judging judge-model 2 1,000 25 % 200 20 $0.50 $250.00" in said
    assert "Together $0.50" in said


def test_an_unknown_price_is_said_and_left_out_of_the_sum(run, tmp_path):
    price(run, experiment={"prompt_tokens": 2000, "response_tokens": 100}, cost_usd=None)
    write(run, validation())
    said = report(tmp_path, run, sample=0).said
    assert "price unknown" in said
    assert "Together without 1 whose price is unknown $0.50" in said
    assert "price.prompt" in said


def test_amounts_have_the_digits_that_tell():
    assert [usd(amount) for amount in (0.0, 1234.5, 0.5, 0.0032, 0.0000001, None)] == [
        "$0.00",
        "$1,234.50",
        "$0.50",
        "$0.0032",
        "< $0.0001",
        "price unknown",
    ]
