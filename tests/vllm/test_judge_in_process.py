"""``coc validate`` with a model inside the process: every question leaves a row, and no score is asked for twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders.coc import Answer, coc
from builders.model_runs import in_this_process, prepare_with_videos
from builders.runs import only_run, write_keyframes
from coc_labeling.judge.stages import Stage

LABELS = [("clip_0", 80), ("clip_0", 100)]  # the rules cite a lead in the first, and nothing in the second
JUDGE = "qwen3_vl_235b_awq"
MAX_TOKENS = (
    42  # twice as many hold an answer of the first stage, which has two scores, and none of the third, with four
)
FIELDS = {
    *("clip_id", "event_timestamp", "stage", "stage_name", "telling", "planted", "yaml_path", "coc_label"),
    *("longitudinal", "source_video_path", "video_segment", "evaluator_model_name", "evaluator_model_id"),
    *("evaluator_backend", "evaluation", "model_response_raw", "error", "skipped", "question_hash", "label_hash"),
    *("prompt_version", "request_hash", "usage"),
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory) -> Path:
    """An experiment of the rules: a judge of any name may judge it."""
    root = tmp_path_factory.mktemp("judged")
    keyframes = write_keyframes(root / "keyframes.json", {"stop": LABELS})
    assert prepare_with_videos(root).label(root / "experiments", data__segment_config_path=str(keyframes)) == 0
    return only_run(root / "experiments")


def test_every_question_leaves_a_row_and_finished_ones_are_not_asked_again(run_dir, tiny_checkpoint):
    folder = run_dir / "validation" / JUDGE

    def judge(*options: object) -> Answer:
        keys = {"model_path": tiny_checkpoint("qwen3_vl"), "vlm_agent.max_tokens": MAX_TOKENS, "num_workers": 1}
        told = (f"{key}={value}" for key, value in keys.items())
        with in_this_process():
            return coc("validate", run_dir, "--model-name", JUDGE, "--controls", 0, *options, *told)

    def rows() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]

    told = judge()
    assert told.code == 0, told.err
    assert sorted((row["stage"], row["skipped"] is None) for row in rows()) == [
        *((1, False), (1, True)),
        *((2, True), (2, True)),
        *((3, True), (3, True)),
    ]
    for row in rows():
        assert row.keys() == FIELDS
        assert (row["evaluator_model_name"], row["evaluator_backend"]) == (JUDGE, "vllm")
        if row["skipped"] is None:
            assert row["usage"]["prompt_tokens"] > 500
            check_answer(row)
    # Structured output is on: a model that was taught other answers gives scores, where it has the tokens to.
    assert next(row["evaluation"] for row in rows() if row["stage"] == 1 and row["skipped"] is None)
    assert [row["evaluation"] for row in rows() if row["stage"] == 3] == [None, None]

    final = json.loads((folder / "validation.json").read_text())
    assert final["judge"]["model_ids"] == ["qwen3_vl"]
    assert len(final["labels"]) == len(LABELS)
    assert final["summary"]["counts"]["evidence"] == {"evaluated": 1, "skipped": 1, "errors": 0}
    assert final["summary"]["counts"]["cause"] == {"evaluated": 0, "skipped": 0, "errors": 2}

    asked, engine_log = rows(), (folder / "vllm.log").read_bytes()
    assert judge("--stages", 1).code == 0
    assert rows() == asked
    assert (folder / "vllm.log").read_bytes() == engine_log  # no engine was started


def check_answer(row: dict[str, Any]) -> None:
    """A row has the scores of its stage, or says why not; the answer is there in either case."""
    if row["error"] is None:
        assert row["evaluation"].keys() == {*Stage(row["stage"]).scores, "reason"}
        assert json.loads(row["model_response_raw"])["reason"] == row["evaluation"]["reason"]
    else:
        assert row["evaluation"] is None
        assert row["error"].startswith("truncated_answer: ")
        assert row["model_response_raw"].startswith('{"unreadable":')
