import json
import shutil

import pytest

from builders.calibrated import checked_run, reviewed
from builders.coc import coc
from coc_labeling.checks.calibration import CALIBRATION, read_calibration
from coc_labeling.checks.results import load_checks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return reviewed(*checked_run(tmp_path_factory.mktemp("calibrated") / "run", 160, seed=3), 120)


def test_reviews_calibrate_the_risk_of_all_labels(run):
    before = load_checks(str(run))
    answer = coc("check", run, "--calibrate")
    assert answer.code == 0, answer.err
    for part in ("120 reviewed labels", "Brier score", "expected calibration error", "speed", CALIBRATION):
        assert part in answer.out
    found = read_calibration(str(run / CALIBRATION))
    assert (found.judged, found.sources[0].run_dir) == (120, str(run))
    after = load_checks(str(run))
    assert after.column("raw_risk").equals(before.column("risk"))
    # Labels are wrong half as often as their risk says.
    assert sum(after.column("risk").to_pylist()) < 0.75 * sum(before.column("risk").to_pylist())
    again = coc("check", run, "--calibrate")
    assert again.code == 0
    assert read_calibration(str(run / CALIBRATION)).map == found.map


def test_a_run_without_reviews_takes_those_of_others(run, tmp_path):
    other, _ = checked_run(tmp_path / "other", 20, seed=5)
    assert coc("check", other, "--calibrate").code == 2
    answer = coc("check", other, "--calibrate", "--reviews", run)
    assert answer.code == 0, answer.err
    kept = json.loads((other / CALIBRATION).read_text())
    assert [source["run_dir"] for source in kept["sources"]] == [str(run)]


def test_too_few_reviews_end_with_2_and_numbers(tmp_path):
    run = reviewed(*checked_run(tmp_path / "run", 40), 20)
    answer = coc("check", run, "--calibrate")
    assert (answer.code, "20 labels of which reviewers found" in answer.err) == (2, True)
    assert not (run / CALIBRATION).exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--reviews", "other"],
        ["--calibrate", "--shard", "0/2"],
        ["--calibrate", "data.data_dir=/x"],
        ["--calibration", "no"],
    ],
)
def test_options_that_contradict_end_with_2(run, options):
    answer = coc("check", run, *options)
    assert (answer.code, "error:" in answer.err) == (2, True)


def test_reviews_that_are_named_twice_do_not_count_twice(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for again in (run, copy):
        answer = coc("check", run, "--calibrate", "--reviews", again)
        assert (answer.code, "would count twice" in answer.err) == (2, True)
