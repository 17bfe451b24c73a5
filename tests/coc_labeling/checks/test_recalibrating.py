import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch_runs.shards import Shard
from builders.calibrated import checked_run, judged
from builders.commands import contents, leftovers
from builders.runs import only_run
from coc_labeling.checks.calibration import Calibration, RiskMap, calibrated, write_calibration
from coc_labeling.checks.merging import merge_checks
from coc_labeling.checks.recalibrating import recalibrate
from coc_labeling.checks.results import CHECK_SUMMARY, CHECKS_TABLE, load_checks, read_checks
from coc_labeling.checks.run import check_run
from coc_labeling.errors import CocLabelingError
from coc_labeling.report.label_risk import read_risk

HALF = RiskMap(intercept=-1.0, slope=1.3)


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("labelled")
    assert inputs.label(out) == 0
    return only_run(out)


@pytest.fixture
def run(labelled, tmp_path) -> Path:
    return Path(shutil.copytree(labelled, tmp_path / "run"))


def calibration(risk_map: RiskMap = HALF) -> Calibration:
    found = calibrated(judged(200), [], checks_version=2, code_version="1", made="2026-01-01T00:00:00+00:00")
    return found.model_copy(update={"map": risk_map})


def figures(run: Path, suffix: str = "") -> dict:
    summary = json.loads((run / CHECK_SUMMARY.replace(".json", f"{suffix}.json")).read_text())
    return {name: summary.get(name) for name in ("status", "risk_histogram", "calibration", "fingerprint")}


def written(run: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(run).items() if "/checks_" in name}


def test_calibrating_checks_gives_what_checking_with_a_calibration_gives(run):
    check_run(str(run), num_workers=1)
    raw = load_checks(str(run))
    assert raw.column("risk").equals(raw.column("raw_risk"))
    recalibrate(str(run), HALF)
    table, summary, jsons = load_checks(str(run)), figures(run), written(run)
    write_calibration(str(run), calibration())
    again = check_run(str(run), num_workers=1)
    assert load_checks(str(run)).equals(table)
    assert (figures(run), written(run)) == (summary, jsons)
    assert any("risks are calibrated by 200 reviewed labels" in notice for notice in again.notices)
    assert table.column("raw_risk").equals(raw.column("raw_risk"))
    assert leftovers(run) == []


def test_calibrating_twice_starts_from_the_raw_risk_and_one_to_one_changes_nothing(run):
    check_run(str(run), num_workers=1)
    before, jsons = load_checks(str(run)), written(run)
    recalibrate(str(run), HALF)
    recalibrate(str(run), RiskMap(intercept=0, slope=1))
    assert load_checks(str(run)).equals(before)
    assert written(run) == jsons


def test_a_run_that_goes_on_takes_over_only_what_was_calibrated_alike(run):
    check_run(str(run), num_workers=1)
    write_calibration(str(run), calibration())
    assert check_run(str(run), num_workers=1, resume=True).tally.fresh
    assert not check_run(str(run), num_workers=1, resume=True).tally.fresh
    recalibrate(str(run), RiskMap(intercept=0, slope=2))
    assert check_run(str(run), num_workers=1, resume=True).tally.fresh


def test_shards_are_calibrated_each_and_merged_only_where_alike(run):
    write_calibration(str(run), calibration())
    for index in range(2):
        check_run(str(run), shard=Shard(index, 2), num_workers=1)
    other = RiskMap(intercept=0.5, slope=1)
    status = recalibrate(str(run), other)
    assert status.total() == len(load_checks(str(run)))
    assert figures(run, Shard(0, 2).suffix)["calibration"] == other.model_dump()
    assert merge_checks([str(run)], str(run)) is not None
    assert figures(run)["calibration"] == other.model_dump()
    check_run(str(run), shard=Shard(0, 2), num_workers=1)
    with pytest.raises(CocLabelingError, match="different calibrations"):
        merge_checks([str(run)], str(run))


def test_statuses_follow_the_calibrated_risk_and_reports_show_it(tmp_path):
    run, _ = checked_run(tmp_path / "run", 30)
    before = load_checks(str(run)).to_pylist()
    recalibrate(str(run), HALF)
    after = load_checks(str(run)).to_pylist()
    assert {row["status"] for row in after} > {"low"}
    for old, new in zip(before, after, strict=True):
        assert new["risk"] == HALF.probability(old["risk"])
        assert new["status"] == ("low" if new["risk"] < 0.3 else "high" if new["risk"] >= 0.6 else "medium")
        shown = read_risk(str(run), new)
        assert (shown.value, shown.status) == (new["risk"], new["status"])
    order = [sorted(range(30), key=lambda n, rows=rows: (rows[n]["risk"], n)) for rows in (before, after)]
    assert order[0] == order[1]


def test_tables_of_earlier_versions_are_read_with_the_risk_as_raw_risk(tmp_path):
    run, _ = checked_run(tmp_path / "run", 5)
    path = run / CHECKS_TABLE
    pq.write_table(pq.read_table(path).drop_columns(["raw_risk"]), path)
    table = read_checks(str(path))
    assert table.column("raw_risk").equals(table.column("risk"))
    recalibrate(str(run), HALF)
    assert "raw_risk" in pq.read_schema(path).names


def test_without_checks_nothing_is_calibrated(tmp_path):
    with pytest.raises(CocLabelingError, match="Run coc check"):
        recalibrate(str(tmp_path), HALF)


def test_a_calibration_of_another_run_is_applied_where_it_is_named(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_calibration(str(other), calibration().model_copy(update={"checks_version": 1}))
    found = check_run(str(run), num_workers=1, calibration=str(other / "risk_calibration.json"))
    assert any("version 1 of the checks" in notice for notice in found.notices)
    for row in load_checks(str(run)).to_pylist():
        assert row["risk"] == HALF.probability(row["raw_risk"]) or row["status"] == "abstained"
