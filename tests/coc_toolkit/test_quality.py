import json

from builders.calibrated import checked_run, reviewed
from builders.coc import coc


def test_the_command_tells_and_writes_what_came_of_it(tmp_path):
    run = reviewed(*checked_run(tmp_path / "run", 60), 40)
    answer = coc("quality", run, "--out", tmp_path / "quality.json")
    assert answer.code == 0, answer.err
    for part in (
        "40 of 60 labels are judged, 12 of them with a result and drawn at random",
        "longitudinal",
        "  stop",
        "Of the 20 labels that nobody decided on, an estimated ",
        "are wrong; reviewing more batches narrows it",
        "How many lack a component is not known",
        "quality.json",
    ):
        assert part in answer.out
    found = json.loads((tmp_path / "quality.json").read_text())
    assert found["labels"]["right"]["unreviewed"]["labels"] == 20
    assert found["run_dir"] == str(run)


def test_without_reviews_it_ends_with_2_and_says_what_to_do(tmp_path):
    run, wrong = checked_run(tmp_path / "run", 30)
    answer = coc("quality", run)
    assert (answer.code, "coc review" in answer.err) == (2, True)
    reviewed(run, wrong, 0)
    answer = coc("quality", run)
    assert (answer.code, "Review at least one batch" in answer.err) == (2, True)


def test_an_output_that_cannot_be_ends_with_2(tmp_path):
    run = reviewed(*checked_run(tmp_path / "run", 30), 20)
    answer = coc("quality", run, "--out", tmp_path)
    assert (answer.code, "is a folder. Name a file." in answer.err) == (2, True)
    (tmp_path / "file").touch()
    answer = coc("quality", run, "--out", tmp_path / "file" / "quality.json")
    assert (answer.code, "its folder cannot be created" in answer.err) == (2, True)


def test_what_is_undefined_is_explained(tmp_path):
    run = reviewed(*checked_run(tmp_path / "run", 60), 15)
    said = coc("quality", run).out
    assert "  undefined" in said
    assert "undefined: none of these labels that were drawn at random has a result" in said


def test_where_all_is_judged_it_promises_nothing_more(tmp_path):
    run = reviewed(*checked_run(tmp_path / "run", 40), 40)
    said = coc("quality", run).out
    assert "all of them have been reviewed" in said
    assert "narrows it" not in said
    assert "-; as right: -" not in said
