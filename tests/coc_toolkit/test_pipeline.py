import shutil
from pathlib import Path

import pytest

from builders.coc import coc
from builders.commands import contents, labels
from builders.driving import drive
from builders.runs import only_run, records_in, rows_of
from builders.table import write_csv
from coc_labeling.checks import work
from coc_labeling.checks.results import load_checks


def run(inputs, out: Path, *options: object):
    return coc("run", "--dataset", "table", "--data_dir", inputs.data_dir, "--out", out, "--num_workers", 1, *options)


def experiment(out: Path) -> Path:
    return only_run(out / "experiments")


def state(out: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of what a second run has no reason to touch."""
    paths = [*out.rglob("cot_*.yaml"), *out.rglob("final_outputs/*.txt"), *out.rglob("tmp/raw_results/*.json")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """One run of all steps; tests only read it."""
    out = tmp_path_factory.mktemp("whole")
    answer = run(inputs, out)
    assert answer.code == 0, answer.err
    return out, answer


def test_all_steps_are_done_and_their_places_told(whole):
    out, answer = whole
    assert [line[:7] for line in answer.out.splitlines() if line.startswith("Step ")] == [
        "Step 1:",
        "Step 2:",
        "Step 3:",
        "Step 4:",
    ]
    assert f"labels: {experiment(out)}" in answer.out
    assert f"report: {out}/report.html" in answer.out
    assert (out / "report.html").stat().st_size > 1000


def test_the_steps_are_the_same_as_one_by_one(inputs, whole, tmp_path):
    out, _ = whole
    assert inputs.label(tmp_path) == 0
    assert labels(out / "meta_actions") == labels(inputs.root / "meta_actions")
    assert (out / "keyframes" / inputs.keyframes.name).read_bytes() == inputs.keyframes.read_bytes()
    assert records_in(experiment(out)) == records_in(only_run(tmp_path))


@pytest.fixture
def again(whole, tmp_path) -> Path:
    """What one run left, to be run again."""
    return Path(shutil.copytree(whole[0], tmp_path / "again"))


def test_a_second_run_does_nothing_new(inputs, again):
    before, rows = state(again), rows_of(experiment(again))
    answer = run(inputs, again)
    assert answer.code == 0
    assert state(again) == before
    assert rows_of(experiment(again)) == rows
    assert answer.out.count("(0 now") == 3


def test_labels_are_checked_before_the_report(whole):
    out, answer = whole
    checks = load_checks(str(experiment(out)))
    assert checks.num_rows == len(rows_of(experiment(out)))
    assert f"{checks.num_rows} labels done" in answer.out
    assert "have not been checked" not in (out / "report.html").read_text()


def test_checks_are_made_again_where_a_record_has_changed(inputs, again):
    path = next(again.rglob("cot_*.yaml"))
    path.write_text(path.read_text() + "\n")
    answer = run(inputs, again)
    assert answer.out.count("(0 now") == 2
    assert "labels done (0 now" not in answer.out


def test_what_cannot_be_checked_is_told_by_the_exit_code(inputs, again, monkeypatch):
    def crash(self, clip, own):
        raise ZeroDivisionError("oh")

    (experiment(again) / "checks.parquet").unlink()
    monkeypatch.setattr(work.Checker, "check", crash)
    answer = run(inputs, again)
    assert answer.code == 2
    assert "ZeroDivisionError: oh" in answer.out
    assert f"report: {again}/report.html" in answer.out


def test_another_model_is_another_experiment(inputs, again):
    assert run(inputs, again, "--model_name", "dummy").code == 0
    by_rules, by_dummy = sorted((again / "experiments").glob("2*"), key=lambda path: "dummy" in path.name)
    assert {row["agent"] for row in rows_of(by_rules)} == {"RulesAgent"}
    assert {row["agent"] for row in rows_of(by_dummy)} == {"VLMCoCAgent"}


@pytest.mark.parametrize(
    "options", [["--model_name", "gpt9"], ["modelname=rules"], ["data_loader.keyframe.meta_action_filter=[fly]"]]
)
def test_what_step_3_cannot_take_is_told_before_step_1_begins(inputs, tmp_path, options):
    assert run(inputs, tmp_path / "out", *options).code == 2
    assert contents(tmp_path) == {}


def test_overrides_go_to_step_3(inputs, tmp_path):
    assert run(inputs, tmp_path, "data_loader.keyframe.meta_action_filter=[stop]").code == 0
    rows = rows_of(experiment(tmp_path))
    assert rows
    assert all("stop" in row["meta_actions"] for row in rows)


def test_only_the_listed_scenes_are_labelled(inputs, tmp_path):
    scenes = tmp_path / "scenes.txt"
    scenes.write_text("clip_1\nclip_2\n")
    assert run(inputs, tmp_path / "out", "--scene_list", scenes).code == 0
    assert {name.split("/")[0] for name in records_in(tmp_path / "out")} == {"clip_1", "clip_2"}


def test_an_unknown_scene_is_told_and_the_others_are_labelled(inputs, tmp_path):
    scenes = tmp_path / "scenes.txt"
    scenes.write_text("clip_1\nghost\n")
    answer = run(inputs, tmp_path / "out", "--scene_list", scenes)
    assert answer.code == 1
    assert "ghost" in answer.out
    assert {name.split("/")[0] for name in records_in(tmp_path / "out")} == {"clip_1"}


def test_paths_may_hold_any_characters(inputs, tmp_path):
    out = tmp_path / "a b, [c]=${d} 'e' \"f\" é"
    answer = run(inputs, out)
    assert answer.code == 0, answer.err
    assert records_in(experiment(out))


def test_no_clip_with_a_keyframe_is_no_error(inputs, tmp_path):
    write_csv(tmp_path / "data", "steady", drive(1.5))
    answer = coc("run", "--dataset", "table", "--data_dir", tmp_path / "data", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "0 keyframes" in answer.out
    assert "0 labels done" in answer.out


def test_shards_of_a_run_merge_into_the_whole(inputs, whole, tmp_path):
    out, _ = whole
    for index in range(2):
        answer = run(inputs, tmp_path, "--shard", f"{index}/2")
        assert answer.code == 0, answer.err
    assert coc("merge", tmp_path / "meta_actions").code == 0
    merged = tmp_path / "merged"
    assert coc("merge", *sorted((tmp_path / "experiments").iterdir()), "--out", merged).code == 0
    assert labels(tmp_path / "meta_actions") == labels(out / "meta_actions")
    assert records_in(merged) == records_in(experiment(out))
    assert rows_of(merged) == rows_of(experiment(out))
    assert load_checks(str(merged)).num_rows == len(rows_of(merged))


def test_the_report_takes_the_folder_of_a_run(whole, tmp_path):
    out, _ = whole
    answer = coc("report", out, "--out", tmp_path / "page.html", "--sample", "1")
    assert answer.code == 0, answer.err
    assert (tmp_path / "page.html").exists()


def test_names_of_its_own_folders_are_refused(inputs, tmp_path):
    answer = run(inputs, tmp_path / "out", "exp_name=mine")
    assert answer.code == 2
    assert "exp_name=mine: coc run keeps its own experiments" in answer.err
