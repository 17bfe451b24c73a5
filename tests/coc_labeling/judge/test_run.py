import errno
import json
import os
import shutil
import signal
import textwrap
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.coc import coc
from builders.commands import contents
from builders.fake_openai import Ok, Refusal, Status
from builders.judges import (
    JUDGE,
    JudgeCommand,
    ScriptedJudge,
    claim_of,
    label_and_judge,
    labelled_with_a_lead,
    pictures_of,
    scored,
    stage_of,
    texts_of,
)
from builders.model_runs import MANY, MOMENTS, answer
from builders.runs import Inputs
from coc_labeling.judge.stages import Stage
from coc_labeling.planting import Error
from coc_labeling.prompts import judge as judge_prompts

ALONE = ("--controls", 0)
STAGES = len(Stage)
MOMENT = """event_start_frame: 60
event_start_timestamp: 6000000
"""
THEIRS = """final_content:
  ego_behavior_schema:
    effect_on_ego_behavior: Stop for the red light ahead.
"""


def requests_of(server, stage: str) -> list:
    return [request for request in server.requests if stage_of(request) == stage]


def keys_of(rows) -> list[tuple]:
    return sorted((row["clip_id"], row["event_timestamp"], row["stage"]) for row in rows)


EVERY = sorted((clip, frame * 100_000, stage) for clip, frame in MOMENTS for stage in (1, 2, 3))


# --- what is written


def test_a_row_per_label_and_stage_says_what_was_judged_by_whom(judged):
    told = judged(*ALONE)
    assert told.code == 0, told.err
    rows = judged.rows()
    assert keys_of(rows) == EVERY
    row = next(
        row for row in rows if (row["clip_id"], row["event_timestamp"], row["stage"]) == ("clip_1", 6_000_000, 2)
    )
    assert Path(row["yaml_path"]).samefile(judged.run_dir / "clip_1" / "cot_6000000.yaml")
    assert row["source_video_path"].endswith("clip_1.camera_front_wide_120fov.mp4")
    assert "white van" in row["coc_label"]
    assert (row["evaluator_model_name"], row["evaluator_backend"]) == (JUDGE, "openai_compatible")
    assert set(row["evaluation"]) == {*Stage.BEHAVIOUR.scores, "reason"}
    assert json.loads(row["model_response_raw"])["reason"] == "It is as said."
    assert (row["error"], row["skipped"], row["planted"], row["video_segment"]) == (None, None, None, None)


def test_labels_records_and_tables_of_the_run_are_not_touched(judged):
    before = contents(judged.run_dir)
    assert judged("--controls", 2).code == 0
    after = {name: content for name, content in contents(judged.run_dir).items() if not name.startswith("validation/")}
    assert after == before


def test_the_final_file_joins_the_stages_of_each_label(judged):
    judged(*ALONE)
    final = judged.final()
    assert len(final["labels"]) == len(MOMENTS)
    first = final["labels"][0]
    assert set(first["evaluation"]) == {stage.title for stage in Stage}
    assert first["evaluation"]["evidence"]["visual_evidence_score"] >= 0.75
    scores = final["summary"]["scores"]["causal_consistency_score"]
    assert scores["n"] == len(MOMENTS)
    assert 0.75 <= scores["median"] <= 0.95
    assert final["summary"]["by_longitudinal"]["follow_lead"]["causal_consistency_score"] == scores
    assert final["summary"]["counts"]["cause"] == {"evaluated": len(MOMENTS), "skipped": 0, "errors": 0}
    assert final["summary"]["tokens"]["prompt_tokens"] == 1000 * judged.asked
    assert final["labellers"] == [{"name": "openai_compatible", "model_id": "fake-model"}]
    assert (final["judge"]["name"], final["judge"]["self_judged"]) == (JUDGE, False)


def test_the_cost_is_told_where_the_price_is_known(judged):
    assert judged(*ALONE, price__prompt=10, price__response=100).code == 0
    asked = judged.asked
    assert judged.final()["summary"]["cost_usd"] == pytest.approx(asked * (1000 * 10 + 50 * 100) / 1e6)
    assert judged.told()["cost_usd"] == pytest.approx(asked * (1000 * 10 + 50 * 100) / 1e6)


def test_the_folder_can_be_chosen_but_not_an_experiment(judged, tmp_path):
    assert judged(*ALONE, "--out", tmp_path / "scores").code == 0
    assert (tmp_path / "scores" / "validation.json").exists()
    assert not (judged.run_dir / "validation").exists()
    told = judged(*ALONE, "--out", judged.run_dir)
    assert told.code == 2
    assert "this is an experiment" in told.err


def test_a_video_of_the_window_is_named_where_the_run_saved_one(model, server, tmp_path):
    judged = label_and_judge(
        model,
        server,
        [("clip_1", 60)],
        data_loader__video__save_segment_videos="true",
        data_loader__video__segment_video_output_dir=str(tmp_path / "segments"),
    )
    assert judged(*ALONE, "--stages", 2).code == 0
    (row,) = judged.rows()
    assert Path(row["video_segment"]) == tmp_path / "segments" / "clip_1" / "clip_1_6000000.mp4"
    assert Path(row["video_segment"]).exists()


def test_no_secret_is_in_any_file(judged, seen_secrets):
    assert judged("--controls", 2, log_json="true").code == 0
    assert (judged.folder / "events.jsonl").exists()
    assert seen_secrets() == []


# --- what is asked


def test_the_first_stage_sees_the_history_and_the_factors_alone(judged, server):
    judged(*ALONE)
    for request in requests_of(server, "evidence"):
        assert pictures_of(request) == 5
        said = texts_of(request).removeprefix(judge_prompts("evidence").system)
        assert '"white van (critical_object, lead)"' in said
        for word in ("follow_lead", "keep_lane", "Keep the distance", "t=0.5", "after", "Meta-actions", "Ego speed"):
            assert word not in said


def test_the_second_stage_sees_what_follows_and_no_measured_motion(judged, server):
    judged(*ALONE, "--stages", "2")
    assert {stage_of(request) for request in server.requests} == {None, "behaviour"}
    for request in requests_of(server, "behaviour"):
        said = texts_of(request)
        assert pictures_of(request) == 12
        assert "t=0.00s" in said
        assert "t=-0.50s" not in said
        assert "Ego speed (m/s)" not in said


def test_the_second_stage_can_be_shown_the_whole_window_and_be_told_the_motion(judged, server):
    judged(*ALONE, "--stages", "2", "--full-window", "--with-motion")
    for request in requests_of(server, "behaviour"):
        assert pictures_of(request) == 16
        assert "# Ego speed (m/s)\n(t=-2.0s) longitudinal" in texts_of(request)


def test_motion_is_told_to_the_second_stage_alone(judged, server):
    judged(*ALONE, "--with-motion")
    told = {stage_of(request): "Ego speed (m/s)" in texts_of(request) for request in server.requests}
    assert (told["evidence"], told["behaviour"], told["cause"]) == (False, True, False)


def test_the_third_stage_sees_the_whole_window_and_the_whole_label(judged, server):
    judged(*ALONE, "--stages", "3")
    for request in requests_of(server, "cause"):
        said = claim_of(request)
        assert pictures_of(request) == 16
        for word in ("follow_lead", "white van (critical_object, lead)", "unobserved", "Nothing is near.", "Keep the"):
            assert word in said


def test_requests_name_no_clip_file_or_folder(judged, server):
    judged("--controls", 2)
    for request in server.requests:
        said = texts_of(request)
        assert "clip_" not in said
        assert str(judged.run_dir) not in said
        assert "mp4" not in said


def test_windows_can_be_made_otherwise(judged, server):
    judged(*ALONE, "--stages", "3", data_loader__video__fut_length_sec=3)
    assert {pictures_of(request) for request in requests_of(server, "cause")} == {10}


def test_the_window_is_the_usual_one_whatever_the_run_had(model, server):
    judged = label_and_judge(model, server, data_loader__video__fut_length_sec=2)
    judged(*ALONE, "--stages", "3")
    assert {pictures_of(request) for request in requests_of(server, "cause")} == {16}


# --- labels that there is little to judge in


def test_a_label_without_a_cited_factor_is_not_asked_about_in_the_first_stage(model, server):
    def labelling(request):
        return scored(request, 0.8) if stage_of(request) else answer(f"Keep going, {len(request.body)}.")

    judged = label_and_judge(model, server, judge=labelling)
    told = judged(*ALONE)
    assert told.code == 0, told.err
    assert requests_of(server, "evidence") == []
    first = [row for row in judged.rows() if row["stage"] == 1]
    assert len(first) == len(MOMENTS)
    for row in first:
        assert (row["evaluation"], row["error"]) == (None, None)
        assert row["skipped"].startswith("no_factor_cited: ")
    assert judged.reasons()["rejected: no_factor_cited"] == len(MOMENTS)
    assert judged.final()["summary"]["counts"]["evidence"]["skipped"] == len(MOMENTS)
    asked = judged.asked
    assert judged(*ALONE).code == 0
    assert judged.asked == asked
    assert judged.reasons()["rejected: no_factor_cited"] == len(MOMENTS)
    assert len(judged.rows()) == STAGES * len(MOMENTS)


def test_abstentions_are_not_judged(model, server):
    def labelling(request):
        nothing = answer("unreadable", unreadable=True)
        return scored(request, 0.8) if stage_of(request) else [nothing, labelled_with_a_lead(request)][turns.pop()]

    turns = [0, 0, 1, 1, 1, 1]
    judged = label_and_judge(model, server, judge=labelling, max_in_flight=1)
    told = judged(*ALONE)
    assert told.code == 0, told.err
    assert len(judged.rows()) == STAGES * 4
    assert "2 records are abstentions" in told.out


def test_a_sample_is_spread_over_the_clips(model, server):
    judged = label_and_judge(model, server, MANY)
    assert judged(*ALONE, "--sample", 4, "--stages", 3).code == 0
    assert len(judged.rows()) == 4
    assert len({row["clip_id"] for row in judged.rows()}) == 4


# --- answers that cannot be used


@pytest.mark.parametrize("wrong", [{"visual_evidence_score": 1.5}, {"visual_evidence_score": float("nan")}], ids=str)
def test_scores_that_are_none_are_asked_for_once_more_and_then_are_an_error(judged, server, wrong):
    good = server.answer

    def answering(request):
        return scored(request, 0.5, **wrong) if stage_of(request) == "evidence" else good(request)

    server.answer = answering
    told = judged(*ALONE, "--sample", 1)
    assert told.code == 0, told.err
    first, *others = sorted(judged.rows(), key=lambda row: row["stage"])
    assert first["evaluation"] is None
    assert first["error"].startswith("invalid_answer: ")
    assert first["model_response_raw"] == scored(requests_of(server, "evidence")[0], 0.5, **wrong)
    assert len(requests_of(server, "evidence")) == 2
    assert all(row["evaluation"] for row in others)
    assert judged.final()["labels"][0]["errors"].keys() == {"evidence"}
    server.answer = good
    assert judged(*ALONE, "--sample", 1, response_cache="false").code == 0
    assert [row["evaluation"] is None for row in judged.rows() if row["stage"] == 1] == [True, False]
    assert judged.final()["labels"][0]["errors"] == {}
    assert len(requests_of(server, "behaviour")) == 1


def test_a_second_answer_that_can_be_used_is_used(judged, server):
    good, first = server.answer, [True]

    def answering(request):
        return "no JSON" if first.pop() is True else good(request)

    server.answer = lambda request: answering(request) if first else good(request)
    assert judged(*ALONE, "--sample", 1, "--stages", 1).code == 0
    (row,) = judged.rows()
    assert row["evaluation"] is not None
    assert row["usage"]["prompt_tokens"] == 2000


def test_a_refusal_and_frames_that_cannot_be_judged_are_errors_of_their_row(judged, server):
    server.answer = lambda request: scored(request, 0.0, unreadable=True)
    server.script = [Refusal()]
    assert judged(*ALONE, "--sample", 2, "--stages", 1, max_in_flight=1).code == 0
    errors = [row["error"].partition(":")[0] for row in judged.rows()]
    assert errors == ["refused", "unreadable_video"]
    assert judged.reasons() == {"rejected: refused": 1, "rejected: unreadable_video": 1}


def test_raw_answers_are_cut_where_they_are_endless(judged, server):
    server.answer = lambda request: "x" * 200_000
    judged(*ALONE, "--sample", 1, "--stages", 1)
    (row,) = judged.rows()
    assert len(row["model_response_raw"]) <= 20_000


def test_one_question_that_fails_stops_none_of_the_others(judged, server):
    server.script = [Status(400, "no such thing")]
    told = judged(*ALONE, max_in_flight=1)
    assert told.code == 1
    errors = [row for row in judged.rows() if row["error"]]
    assert len(errors) == 1
    assert errors[0]["error"].startswith("http_400: ")
    assert keys_of(judged.rows()) == EVERY
    assert judged(*ALONE).code == 0
    assert len(judged.rows()) == len(EVERY) + 1
    assert judged.reasons() == {"done: already_done": len(EVERY) - 1, "done: judged": 1}


def test_a_clip_that_cannot_be_read_costs_its_own_labels_alone(judged, model_inputs, tmp_path):
    shutil.copytree(model_inputs.data_dir, tmp_path / "data")
    (tmp_path / "data" / "clip_1.camera_front_wide_120fov.mp4").write_bytes(b"no video")
    told = judged("--controls", 6, data__data_dir=str(tmp_path / "data"))
    assert told.code == 1
    lost = [row for row in judged.rows() if row["error"]]
    assert keys_of(lost) == [key for key in EVERY if key[0] == "clip_1"]
    assert {row["clip_id"] for row in judged.rows("controls") if row["error"]} == {"clip_1"}
    assert all(row["evaluation"] for row in judged.rows() if row["clip_id"] != "clip_1")


def test_a_clip_that_is_gone_fails_and_is_named(judged, model_inputs, tmp_path):
    shutil.copytree(model_inputs.data_dir, tmp_path / "data")
    (tmp_path / "data" / "clip_1.csv").unlink()
    told = judged(*ALONE, data__data_dir=str(tmp_path / "data"))
    assert told.code == 1
    assert judged.reasons()["failed: unknown_clip"] == 2 * STAGES


def test_without_any_frame_a_label_is_not_judged_and_can_be_later(judged, model_inputs, tmp_path):
    shutil.copytree(model_inputs.data_dir, tmp_path / "data")
    for video in (tmp_path / "data").glob("*.mp4"):
        video.unlink()
    told = judged(*ALONE, data__data_dir=str(tmp_path / "data"))
    assert told.code == 0
    assert judged.reasons() == {"rejected: no_frames": len(EVERY)}
    assert judged(*ALONE).code == 0
    assert judged.reasons() == {"done: judged": len(EVERY)}


# --- who may judge


def test_a_model_does_not_judge_its_own_labels(judged, server):
    told = judged(*ALONE, model="Fake-Model")
    assert told.code == 2
    assert "is the model that made the labels" in told.err
    assert judged.asked == 0
    assert not (judged.run_dir / "validation").exists()


def test_who_labelled_is_known_without_the_table_too(judged):
    (judged.run_dir / "labels.parquet").unlink()
    told = judged(*ALONE, model="fake-model")
    assert told.code == 2
    assert "is the model that made the labels" in told.err
    assert judged(*ALONE).code == 0
    assert keys_of(judged.rows()) == EVERY


def test_forced_to_it_says_so(judged):
    told = judged(*ALONE, "--force", model="fake-model")
    assert told.code == 0, told.err
    final = json.loads((judged.run_dir / "validation" / "fake-model" / "validation.json").read_text())
    assert final["judge"]["self_judged"] is True
    assert "self_judged" in told.out


# --- controls


def test_a_judge_that_tells_planted_errors_apart_is_informative(judged, planting):
    planting(Error.PHANTOM_LEAD)
    told = judged()
    assert told.code == 0, told.err
    judge = judged.final()["judge"]
    assert judge["informative"] is True
    assert (judge["n_true"], judge["n_planted"]) == (6, 6)
    assert judge["auc_by_score"]["visual_evidence_score"]["auc"] == 1.0
    assert judge["auc_by_score"]["scene_factor_hallucination_score"]["auc"] == 1.0
    assert judge["auc_by_stage"]["behaviour"] is None
    assert "judge: informative" in told.out


def test_a_judge_that_scores_by_chance_is_called_uninformative(model, server, planting):
    judged = label_and_judge(model, server, MANY, ScriptedJudge(sharp=False))
    planting(Error.PHANTOM_LEAD)
    told = judged()
    assert told.code == 0, told.err
    judge = judged.final()["judge"]
    assert judge["informative"] is False
    assert judge["n_planted"] == 20
    assert "planted errors are not told apart" in judge["reason"]
    assert "UNINFORMATIVE" in told.out


def test_planted_errors_are_asked_about_where_they_can_be_seen_and_kept_apart(judged, planting, server):
    planting(Error.WRONG_MANOEUVRE)
    assert judged("--controls", 3).code == 0
    rows = judged.rows("controls")
    assert len(rows) == 2 * 3 * STAGES
    assert {row["stage"] for row in rows if row["evaluation"]} == {2, 3}
    assert all(row["skipped"].startswith("nothing_to_plant") for row in rows if row["stage"] == 1)
    for row in (row for row in rows if row["evaluation"]):
        told = ("planted", "wrong_manoeuvre", True) if row["planted"] else ("twin", None, False)
        assert (row["telling"], row["planted"], "purple tram" in row["coc_label"]) == told
    assert all(row["planted"] is None for row in judged.rows())
    assert not any("purple tram" in row["coc_label"] for row in judged.final()["labels"])


def test_controls_are_asked_once(judged, planting):
    planting(Error.PHANTOM_LEAD)
    judged()
    asked, rows = judged.asked, judged.rows("controls")
    assert judged().code == 0
    assert (judged.asked, judged.rows("controls")) == (asked, rows)
    assert judged.final()["judge"]["informative"] is True


def test_where_nothing_can_be_planted_it_is_said(judged, monkeypatch):
    monkeypatch.setattr("coc_labeling.judge.controls.plant", lambda *_: None)
    assert judged("--controls", 2).code == 0
    assert {row["skipped"].partition(":")[0] for row in judged.rows("controls")} == {"nothing_to_plant"}
    assert judged.final()["judge"]["informative"] is None


def test_errors_are_planted_for_real(judged):
    told = judged()
    assert told.code == 0, told.err
    kinds = {row["planted"] for row in judged.rows("controls")} - {None}
    assert kinds <= {str(error) for error in Error}
    assert kinds


# --- going on


def test_what_is_finished_is_not_asked_again(judged):
    judged(*ALONE)
    before, asked = contents(judged.folder), judged.asked
    told = judged(*ALONE, response_cache="false")
    assert told.code == 0
    assert judged.asked == asked
    assert contents(judged.folder)["evaluations.jsonl"] == before["evaluations.jsonl"]
    assert json.loads(contents(judged.folder)["validation.json"]) == json.loads(before["validation.json"])
    assert judged.reasons() == {"done: already_done": len(EVERY)}


def test_stages_add_up(judged):
    for stage in (2, 1, 3):
        assert judged(*ALONE, "--stages", stage).code == 0
    assert keys_of(judged.rows()) == EVERY
    assert all(len(label["evaluation"]) == STAGES for label in judged.final()["labels"])


def test_a_line_that_was_half_written_is_done_again_and_spoils_no_other(judged):
    judged(*ALONE)
    asked = judged.asked
    path = judged.folder / "evaluations.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    told = judged(*ALONE, response_cache="false")
    assert told.code == 0
    assert "1 lines were half written" in told.out
    assert judged.asked == asked + 1
    lines = path.read_bytes().splitlines()
    assert len(lines) == len(EVERY) + 1
    assert keys_of(json.loads(line) for line in (*lines[: len(EVERY) - 1], lines[-1])) == EVERY


def test_a_question_that_is_put_otherwise_is_put_again(judged):
    judged(*ALONE, "--stages", 2)
    asked = judged.asked
    judged(*ALONE, "--stages", 2, "--full-window")
    assert judged.asked == 2 * asked
    assert len(judged.final()["labels"]) == len(MOMENTS)
    judged(*ALONE, "--stages", 2)
    assert judged.asked == 2 * asked


def test_a_label_that_has_changed_is_judged_again_and_its_old_score_is_not_used(judged, model, server):
    judged(*ALONE, "--stages", 3)
    asked = judged.asked
    record = judged.run_dir / "clip_1" / "cot_6000000.yaml"
    text = record.read_text()
    record.write_text(text.replace("Keep the distance to the white van, says", "Follow the white van, says"))
    assert model.resume() == 0
    assert judged(*ALONE, "--stages", 3).code == 0
    assert judged.asked == asked + 1
    final = judged.final()
    assert sum("Follow the" in label["coc_label"] for label in final["labels"]) == 1
    assert len(final["labels"]) == len(MOMENTS)


def test_a_record_that_was_edited_by_hand_is_judged_as_it_is_now(judged):
    judged(*ALONE, "--stages", 3)
    record = judged.run_dir / "clip_1" / "cot_6000000.yaml"
    record.write_text(record.read_text().replace("Keep the distance to the white van, says", "Hug the elephant, says"))
    asked = judged.asked
    assert judged(*ALONE, "--stages", 3).code == 0
    assert judged.asked == asked + 1
    assert judged.rows()[-1]["coc_label"].startswith("Hug the elephant")
    assert [label["coc_label"][:7] for label in judged.final()["labels"]].count("Hug the") == 1


def test_a_run_that_is_killed_goes_on_and_asks_only_what_is_missing(judged, server):
    good, enough = server.answer, threading.Semaphore(0)

    def answering(request):
        enough.release()
        return good(request)

    server.answer, server.latency = answering, 0.03
    run = judged.start(*ALONE, max_in_flight=1)
    for _ in range(4):
        assert enough.acquire(timeout=60)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(30)
    server.latency = 0.0
    before = len((judged.folder / "evaluations.jsonl").read_bytes().splitlines())
    assert 1 <= before < len(EVERY)
    asked = judged.asked
    assert judged(*ALONE).code == 0
    evaluated = [row for row in _whole_rows(judged) if row["evaluation"]]
    assert keys_of(evaluated) == EVERY
    assert judged.asked - asked <= len(EVERY) - before + 1


def _whole_rows(judged: JudgeCommand) -> list[dict]:
    rows = []
    for line in (judged.folder / "evaluations.jsonl").read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def test_shards_add_up_and_the_final_file_has_them_all(judged, planting):
    planting(Error.PHANTOM_LEAD)
    for index in range(2):
        assert judged("--shard", f"{index}/2").code in (0, 2)
    lines = [json.loads(line) for path in judged.folder.glob("evaluations.shard-*.jsonl") for line in path.open()]
    assert keys_of(lines) == EVERY
    assert len(judged.final()["labels"]) == len(MOMENTS)
    assert judged.final()["judge"]["informative"] is True
    asked = judged.asked
    assert judged().code == 0
    assert judged.asked == asked


def test_the_limit_on_tokens_stops_the_run_and_a_higher_one_goes_on(judged):
    told = judged(*ALONE, max_in_flight=1, max_total_tokens=5000)
    assert told.code == 1
    assert "stopped early: budget" in told.out
    done = len(judged.rows())
    assert 1 < done < len(EVERY)
    assert judged.reasons()["failed: not_reached"] == len(EVERY) - done
    told = judged(*ALONE, max_in_flight=1, max_total_tokens=8000)
    assert told.code == 1
    assert judged.final()["summary"]["tokens"]["prompt_tokens"] <= 8000
    assert judged(*ALONE).code == 0
    assert keys_of(judged.rows()) == EVERY


def test_two_runs_do_not_write_at_once(judged):
    from coc_labeling.judge.results import JudgeFolder

    with JudgeFolder(str(judged.folder)).opened():
        told = judged(*ALONE)
    assert told.code == 2
    assert "another run is writing here" in told.err


# --- what else may lie there


def test_what_is_no_experiment_is_named(tmp_path):
    told = coc("validate", tmp_path / "nowhere", "--model-name", "dummy")
    assert told.code == 2
    assert "nowhere: no such folder" in told.err
    (tmp_path / "notes").mkdir()
    told = coc("validate", tmp_path, "--model-name", "dummy")
    assert told.code == 2
    assert "expected an experiment folder with labels.parquet, or folders <clip_id>" in told.err


def test_a_run_of_abstentions_alone_has_nothing_to_judge(model, server):
    judged = label_and_judge(model, server, judge=lambda _: answer("unreadable", unreadable=True))
    told = judged(*ALONE)
    assert told.code == 2
    assert "expected labels, found 6 records without one" in told.err
    assert not judged.folder.exists()


@pytest.mark.parametrize("change", ["num_workers=x", "vlm_agent=3", "data_loader.video.cameras=1"])
def test_a_value_that_does_not_fit_is_named(judged, change):
    told = coc(*judged.arguments(), change)
    assert told.code == 2
    assert f"{change.partition('=')[0]}=" in told.err
    assert "run_config.json" not in told.err


def test_records_of_another_tool_are_judged_where_the_drives_are_told(model, server, tmp_path):
    run_dir = tmp_path / "theirs"
    texts = {
        "clip_0/cot_6000000.yaml": THEIRS,  # its moment is told by its name alone
        "clip_1/cot_6000000.yaml": f"results:\n{textwrap.indent(MOMENT + THEIRS, '  ')}",
        "clip_2/cot_6000000.yaml": "[broken",
    }
    for name, text in texts.items():
        (run_dir / name).parent.mkdir(parents=True)
        (run_dir / name).write_text(text)
    server.answer = ScriptedJudge()
    judged = JudgeCommand(run_dir, server)
    told = judged(*ALONE)
    assert told.code == 2
    assert "Give data.data_dir=" in told.err
    told = judged(*ALONE, data__dataset_name="table", data__data_dir=model.inputs.data_dir)
    assert told.code == 1
    assert judged.reasons() == {"done: judged": 2 * STAGES, "failed: unreadable_record": 1}
    assert "the labels do not say which model made them" in told.out
    assert judged.final()["labellers"] == []
    (evidence, *_) = requests_of(server, "evidence")
    assert "red light" in claim_of(evidence)
    told = judged(*ALONE, data__dataset_name="table", data__data_dir=model.inputs.data_dir)
    assert judged.reasons() == {"done: already_done": 2 * STAGES, "failed: unreadable_record": 1}


def test_labels_that_only_their_records_hold_are_judged_once(judged):
    """As in runs that are older than the column; nobody can say that such a label has changed unless it is read."""
    table = judged.run_dir / "labels.parquet"
    pq.write_table(pq.read_table(table, partitioning=None).drop_columns(["label"]), table)
    (judged.run_dir / "clip_1" / "cot_6000000.yaml").unlink()
    told = judged(*ALONE)
    assert told.code == 1
    left = len(EVERY) - STAGES
    assert judged.reasons() == {"done: judged": left, "failed: unreadable_record": 1}
    assert judged(*ALONE).code == 1
    assert judged.reasons() == {"done: already_done": left, "failed: unreadable_record": 1}
    assert len(judged.final()["labels"]) == left // STAGES


def test_labels_of_a_later_version_are_read_from_their_records(judged):
    table = judged.run_dir / "labels.parquet"
    rows = pq.read_table(table, partitioning=None)
    column = pa.array(['{"schema_version": 99}'] * len(rows))
    pq.write_table(rows.set_column(rows.schema.get_field_index("label"), "label", column), table)
    assert judged(*ALONE).code == 0
    assert judged.reasons() == {"done: judged": len(EVERY)}


def test_shards_of_a_judge_are_not_merged_and_it_is_said_why(judged):
    assert judged(*ALONE, "--shard", "0/2").code in (0, 2)
    told = coc("merge", judged.folder)
    assert told.code == 2
    assert "copy their .jsonl files into one and run coc validate once more, without --shard" in told.err


# --- nothing is sent


def test_a_dry_run_tells_hosts_pictures_and_bytes_and_sends_and_writes_nothing(judged, planting, server):
    planting(Error.PHANTOM_LEAD)
    before, asked = contents(judged.run_dir), len(server.requests)
    told = judged("--dry-run", "--controls", 2)
    assert told.code == 0, told.err
    assert len(server.requests) == asked
    assert contents(judged.run_dir) == before
    assert judged("--controls", 2, response_cache="false").code == 0
    sent = server.requests[asked:]
    pictures = sum(map(pictures_of, sent))
    assert "hosts: 127.0.0.1" in told.out
    assert f"{len(sent)} requests, {pictures} pictures, {sum(len(r.body) for r in sent) / 1e6:.1f} MB" in told.out
    assert "6 labels, 6 to judge in 30 questions at most, 2 of them as controls" in told.out
    assert "nothing to send" in judged("--dry-run", "--controls", 2).out


def test_another_host_has_to_be_allowed_anew(judged):
    told = judged(*ALONE, openai_compatible__base_url="http://models.example.com/v1")
    assert told.code == 2
    assert "egress.allow_hosts" in told.err


# --- as users run it


def test_with_worker_processes(spawning, server):
    judged = label_and_judge(spawning, server)
    told = judged("--controls", 3, num_workers=2)
    assert told.code == 0, told.err
    assert keys_of(judged.rows()) == EVERY
    assert len(judged.rows("controls")) == 2 * 3 * STAGES


def test_labels_of_rules_are_judged_by_any_model(model_inputs: Inputs, model, server):
    out = model.root / "rules"
    assert model_inputs.label(out) == 0
    (run_dir,) = (path for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    server.answer = ScriptedJudge()
    judged = JudgeCommand(run_dir, server)
    told = judged(*ALONE, "--sample", 3, "--stages", "2,3")
    assert told.code == 0, told.err
    assert len(judged.rows()) == 6
    assert judged.final()["judge"]["self_judged"] is False


# --- faults of our own


def test_a_planted_error_that_crashes_costs_the_control_alone(judged, monkeypatch):
    def broken(*_):
        raise RuntimeError("no idea")

    monkeypatch.setattr("coc_labeling.judge.controls.plant", broken)
    told = judged("--controls", 2)
    assert told.code == 1
    assert judged.reasons() == {"done: judged": len(EVERY), "failed: crashed": 4 * STAGES}
    assert all("RuntimeError" in row["error"] for row in judged.rows("controls"))


def test_a_label_that_crashes_a_question_costs_that_question_alone(judged, monkeypatch):
    def broken(label):
        raise RuntimeError("no idea")

    monkeypatch.setattr("coc_labeling.judge.questions.factors", broken)
    assert judged(*ALONE).code == 1
    assert judged.reasons() == {"done: judged": 12, "failed: crashed": 6}


def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(judged, monkeypatch):
    from coc_labeling.judge.results import RowWriter

    write, room = RowWriter.write, iter(range(4))

    def full(self, row):
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(RowWriter, "write", full)
        told = judged(*ALONE, max_in_flight=1)
    assert told.code == 1
    assert "stopped early: disk_full" in told.out
    assert sum(judged.told()["counts"].values()) == len(EVERY)
    assert judged(*ALONE).code == 0
    assert keys_of(row for row in judged.rows() if row["evaluation"]) == EVERY


def test_questions_that_were_never_put_do_not_hide_that_every_request_fails(model, server):
    judged = label_and_judge(model, server, MANY, judge=lambda request: answer(f"Keep going, {len(request.body)}."))
    server.default = Status(400, "no such thing")
    told = judged(*ALONE, max_in_flight=1)
    assert told.code == 2
    assert "8 windows in a row failed in the same way" in told.out


def test_what_a_failed_question_cost_is_counted(judged, server):
    server.script = [Ok("no JSON"), Status(400, "no such thing")]
    assert judged(*ALONE, "--sample", 1, "--stages", 1).code == 2
    (row,) = judged.rows()
    assert row["error"].startswith("http_400")
    assert (row["usage"]["prompt_tokens"], row["model_response_raw"]) == (1000, "no JSON")
    assert judged.final()["summary"]["tokens"]["prompt_tokens"] == 1000


def test_a_judge_that_goes_by_the_manner_of_telling_finds_no_errors(model, server):
    """Planted errors have no trace and sentences of their own: what they are compared with is told alike."""

    def answering(request):
        if stage_of(request) is None:
            return labelled_with_a_lead(request)
        told_by_a_model = '"trace"' in claim_of(request) or "says" in claim_of(request)
        return scored(request, 0.9 if told_by_a_model else 0.1)

    judged = label_and_judge(model, server, MANY, judge=answering)
    assert judged("--stages", "2,3").code == 0
    judge = judged.final()["judge"]
    assert judge["informative"] is False
    assert {name: found["auc"] for name, found in judge["auc_by_stage"].items()} == {"behaviour": 0.5, "cause": 0.5}
    assert judged.final()["summary"]["scores"]["causal_evidence_score"]["mean"] == 0.9
