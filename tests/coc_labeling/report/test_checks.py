import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.pages import report
from coc_labeling.checks.results import CHECK_SUMMARY, CHECKS_SCHEMA, CHECKS_TABLE, checks_path, to_json
from coc_labeling.report.check_statistics import Verdicts, check_statistics, checked_runs
from coc_labeling.report.label_risk import read_risk
from coc_labeling.report.runs import find_runs
from coc_labeling.report.worst_labels import WORST, measured, worst_labels
from coc_labeling.results import load_labels
from driving_clips import files

HOSTILE = "<script>alert(3)</script> {{ 7*7 }}"
FINDING = {
    "check": "speed",
    "verdict": "contradicted",
    "about": f"brakes {HOSTILE}",
    "reason": f"ego gets faster {HOSTILE}",
    "numbers": [("rises_mps", 2.5), ("causes", 1.0)],
    "severity": 0.8,
    "not_independent": False,
}
CHECKS = {
    "speed": {"supported": 6, "contradicted": 3, "not_observable": 2}
    | {"independent": {"supported": 3, "contradicted": 1, "not_observable": 0}},
    "readable": {"supported": 9, "contradicted": 0, "not_observable": 0}
    | {"independent": {"supported": 0, "contradicted": 0, "not_observable": 0}},
}


def write_checks(run: Path, suffix: str = "", **changes: Callable[[int], object]) -> None:
    """Write checks of all labels of a run as ``coc check`` does; ``changes`` give a column's value by row number."""
    rows = []
    for i, label in enumerate(load_labels(str(run)).to_pylist()):
        row = dict.fromkeys(CHECKS_SCHEMA.names) | {
            "clip_id": label["clip_id"],
            "event_start_timestamp": label["event_start_timestamp"],
            "risk": 0.1 * i,
            "status": "high",
            "reasons": [FINDING["reason"]],
            "findings": [FINDING],
            "track_problems": [],
            "file_size": label["file_size"],
            "file_mtime_ns": label["file_mtime_ns"],
        }
        rows.append(row | {name: change(i) for name, change in changes.items()})
    pq.write_table(
        pa.Table.from_pylist(rows, CHECKS_SCHEMA), run / CHECKS_TABLE.replace(".parquet", f"{suffix}.parquet")
    )
    (run / CHECK_SUMMARY.replace(".json", f"{suffix}.json")).write_text(json.dumps({"checks": CHECKS}))
    for row in rows:
        Path(checks_path(str(run), row["clip_id"], row["event_start_timestamp"])).write_text(to_json(row))


@pytest.fixture
def run(traffic, tmp_path) -> Path:
    """A copy of the run in dense traffic: nine labels of one clip."""
    return Path(shutil.copytree(traffic.experiment, tmp_path / "run"))


def statistics(*paths: Path):
    runs = find_runs([str(path) for path in paths])
    return check_statistics(runs, checked_runs(runs))


def test_an_unchecked_run_says_how_to_check(run, tmp_path):
    page = report(tmp_path, run, sample=0)
    assert f"To check them: coc check {run}" in page.said
    assert "Riskiest labels" not in page.said


def test_findings_are_shown_by_check_independent_ones_apart(run, tmp_path):
    write_checks(run)
    page = report(tmp_path, run, sample=0)
    assert "speed 3 1 0 75 % of 4" in page.said
    told = page.said[page.said.index("Not independent") :]
    assert "speed 3 2 2" in told
    assert "readable 9 0 0" in told


def test_without_independent_evidence_there_is_no_precision(run, tmp_path):
    write_checks(run)
    (run / CHECK_SUMMARY).write_text(json.dumps({"checks": {"readable": CHECKS["readable"]}}))
    assert "No independent evidence" in report(tmp_path, run, sample=0).said


def test_statuses_and_risks_are_counted_and_abstentions_have_no_risk(run):
    statuses = ["low", "medium", "unverified", "abstained"]
    write_checks(run, status=lambda i: statuses[i % 4], risk=lambda i: (0.05, 0.3, 0.5, 0.0)[i % 4])
    found = statistics(run)
    counted = {"low": 3, "medium": 2, "high": 0, "unverified": 2, "unreadable": 0, "abstained": 2}
    assert dict(found.statuses) == counted
    assert {low: n for low, n, _ in found.histogram if n} == {0.05: 3, 0.3: 2, 0.5: 2}
    assert [status for low, _, status in found.histogram if low in (0.25, 0.3, 0.6)] == ["low", "medium", "high"]


def test_a_risk_of_one_is_in_the_last_bin(run):
    write_checks(run, risk=lambda i: 1.0)
    assert statistics(run).histogram[-1][:2] == (0.95, 9)


def test_track_problems_are_told_once_for_a_clip(run, tmp_path):
    write_checks(run, track_problems=lambda i: [f"11 boxes stand where ego is {HOSTILE}"])
    page = report(tmp_path, run, sample=0)
    assert page.said.count("11 boxes stand where ego is") == 1
    assert "1 clip has tracks with problems" in page.said


def test_the_riskiest_labels_come_first_with_picture_reason_and_numbers(run, tmp_path):
    write_checks(run)
    page = report(tmp_path, run, sample=0)
    worst = page.said[page.said.index("The 9 labels with the highest risk") :]
    assert worst.index("0.80") < worst.index("0.70") < worst.index("0.10")
    assert "speed of “brakes" in worst
    assert "rises 2.5 m/s, causes 1" in worst
    assert f"{run}/dense/cot_18000000.yaml" in worst
    assert len(page.figures) == 9
    assert "no video" in worst


def test_twenty_labels_at_most_of_all_runs_and_no_abstention(run, comma, tmp_path):
    write_checks(run, status=lambda i: "abstained" if i == 8 else "high")
    other = Path(shutil.copytree(comma.experiment, tmp_path / "other"))
    write_checks(other, risk=lambda i: 0.75)
    runs = find_runs([str(run), str(other)])
    found = worst_labels(runs, checked_runs(runs), 4)
    assert [label.risk for label in found] == pytest.approx([0.75, 0.75, 0.75, 0.75])
    assert len(worst_labels(runs, checked_runs(runs))) == 8 + 4 <= WORST


def test_facts_that_the_labeller_was_told_are_marked(run, tmp_path):
    write_checks(run, findings=lambda i: [FINDING | {"not_independent": i == 8}])
    assert report(tmp_path, run, sample=0).said.count("by facts that the labeller was told") == 1


def test_hostile_texts_of_checks_are_shown_as_text(run, tmp_path):
    write_checks(run, track_problems=lambda i: [HOSTILE])
    page = report(tmp_path, run)
    assert "script" not in page.tags
    assert page.handlers == []
    assert page.text.count("<script>alert(3)</script>") >= 9
    assert "{{ 7*7 }}" in page.text


def test_sample_clips_show_the_risk_beside_each_label(run, tmp_path):
    write_checks(run)
    assert "follow lead ← change lane left risk 0.80" in report(tmp_path, run).said


def test_unmerged_shards_are_read_and_named(run, tmp_path):
    write_checks(run, ".shard-1-of-2")
    page = report(tmp_path, run, sample=0)
    assert "1 of 2 were read for checks.parquet, missing: 0" in page.said
    assert "speed 3 1 0 75 % of 4" in page.said


def test_labels_that_changed_or_were_not_checked_are_told(run, tmp_path):
    write_checks(run, file_size=lambda i: 1 if i < 2 else None)
    table = pq.read_table(run / CHECKS_TABLE)
    pq.write_table(table.slice(0, 8), run / CHECKS_TABLE)
    said = report(tmp_path, run, sample=0).said
    assert "1 of 9 records have not been checked." in said
    assert "2 records have changed since they were checked." in said


def test_a_run_that_was_copied_or_edited_is_current_once_it_is_checked_again(run, tmp_path):
    write_checks(run)
    path = run / "dense" / "cot_18000000.yaml"
    path.write_text(path.read_text().replace("effect_on_ego_behavior: ", "effect_on_ego_behavior: Elephant! "))
    for other in run.rglob("cot_*.yaml"):
        os.utime(other, ns=(1, 1))
    said = report(tmp_path, run, sample=0).said
    assert "9 records have changed since they were checked." in said
    assert "Elephant!" in said  # the records are read as they are now
    labels = load_labels(str(run)).to_pylist()
    assert all(read_risk(str(run), row) is None for row in labels)
    stamps = [files.stamp(f"{run}/{row['clip_id']}/cot_{row['event_start_timestamp']}.yaml") for row in labels]
    write_checks(run, file_size=lambda i: stamps[i].size, file_mtime_ns=lambda i: stamps[i].mtime_ns)
    said = report(tmp_path, run, sample=0).said
    assert "changed" not in said
    assert "Elephant!" in said
    assert all(read_risk(str(run), row) is not None for row in labels)


def test_too_many_changed_records_are_counted_by_the_table_and_it_is_said(run, tmp_path, monkeypatch):
    monkeypatch.setattr("coc_labeling.report.runs.MAX_RECORDS", 8)
    for other in run.rglob("cot_*.yaml"):
        os.utime(other, ns=(1, 1))
    said = report(tmp_path, run, sample=0).said
    assert "9 of 9 records have been changed or copied since labels.parquet was written" in said
    assert f"resume_exp_dir={run}" in said


@pytest.mark.parametrize("name", [CHECKS_TABLE, CHECK_SUMMARY])
def test_damaged_files_are_told(run, tmp_path, name):
    write_checks(run)
    (run / name).write_bytes(b"damaged")
    assert f"{name}: cannot be read and is left out" in report(tmp_path, run, sample=0).said


def test_missing_summary_is_told(run, tmp_path):
    write_checks(run)
    (run / CHECK_SUMMARY).unlink()
    page = report(tmp_path, run, sample=0)
    assert "findings by check are unknown" in page.said
    assert "Riskiest labels" in page.said


def test_precision_is_of_what_facts_judge():
    assert Verdicts(3, 1, 6).precision == 0.75
    assert Verdicts(0, 0, 6).precision is None


def test_numbers_have_their_units():
    assert measured("turned_right_rad", -0.0) == "turned right 0 rad"
    assert measured("acceleration_mps2", -1.234) == "acceleration -1.23 m/s²"
    assert measured("range_m", 12345.6) == "range 12346 m"


def test_the_risk_of_a_label_is_read_from_its_file(run):
    write_checks(run)
    row = load_labels(str(run)).to_pylist()[3]
    risk = read_risk(str(run), row)
    assert risk is not None
    assert (risk.value, risk.status, risk.reasons) == (pytest.approx(0.3), "high", (FINDING["reason"],))


@pytest.mark.parametrize(
    "changes",
    [
        {"file_size": 1},
        {"risk": 2.0},
        {"risk": True},
        {"risk": None},
        {"status": "fine"},
        {"status": "abstained"},
        {"reasons": "no"},
    ],
)
def test_a_risk_that_is_outdated_or_damaged_is_none(run, changes):
    write_checks(run)
    row = load_labels(str(run)).to_pylist()[3]
    path = Path(checks_path(str(run), row["clip_id"], row["event_start_timestamp"]))
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert read_risk(str(run), row) is None
    path.write_text("[" * 100_000)
    assert read_risk(str(run), row) is None
    path.unlink()
    assert read_risk(str(run), row) is None
