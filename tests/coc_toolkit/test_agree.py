import json

import pytest

from builders.agreed import decision, write_run
from builders.coc import coc
from builders.reviews import ACCEPT, filled, review, rows
from coc_labeling.review.batches.queue import Filters, page
from coc_labeling.review.judgements import Judgement, Reason, Verdict
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import abstain
from coc_toolkit.agree_command import SideName, side_name

HOSTILE = "Stop for \x1b[31m<script>alert(1)</script> [bold]the light[/bold]."
A = {
    ("x", 1_000_000): decision("stop", "keep_lane", sentence=HOSTILE),
    ("y", 1_000_000): decision("follow_lead", "turn", "left", ("lead@7",)),
    ("z", 1_000_000): abstain("no_decision", "reverse"),
}
B = {
    ("x", 1_000_000): decision("yield", "keep_lane"),
    ("y", 1_000_000): decision("follow_lead", "turn", "left", ("lead@7",)),
    ("z", 1_000_000): decision("stop"),
}


@pytest.fixture
def runs(tmp_path):
    return write_run(tmp_path / "one" / "run", A), write_run(tmp_path / "two" / "run", B)


def test_the_command_tells_and_writes_what_came_of_it(runs, tmp_path):
    answer = coc("agree", *runs, "--out", tmp_path / "a.json", "--pairs", tmp_path / "a.csv", "--resamples", 100)
    assert answer.code == 0, answer.err
    for part in (
        "A  one/run",
        "3 pairs, at the same microsecond; 2 with decisions on both sides",
        "not compared: 1 abstained in A, decided in B",
        "0 of 3 moments unpaired",
        "lateral with direction",
        "undefined",  # kappa of the direction: left only
        "both sides say one and the same thing",
        "2 clips are few: the interval is too narrow",
        "longitudinal: stop / yield (1 pairs), such as x at 1.00 s",
        "<script>",
        "[bold]",
    ):
        assert part in answer.out
    assert "\x1b" not in answer.out
    assert json.loads((tmp_path / "a.json").read_text())["pairing"]["pairs"] == 3
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4


def test_other_moments_are_paired_with_tolerance(runs, tmp_path):
    late = write_run(tmp_path / "late", {(clip, t + 100_000): label for (clip, t), label in B.items()})
    assert coc("agree", runs[0], late).code == 2
    answer = coc("agree", runs[0], late, "--tolerance", 1)
    assert (answer.code, "at most 1 ticks of 0.1 s apart" in answer.out) == (0, True)
    assert "B at 1.10 s" in answer.out


@pytest.mark.parametrize(
    ("change", "message"),
    [("none", "no such folder"), ("empty", "labels.parquet"), ("itself", "compared with itself")],
)
def test_what_cannot_be_compared_ends_with_2(runs, tmp_path, change, message):
    (tmp_path / "empty").mkdir()
    other = {"none": tmp_path / "nowhere", "empty": tmp_path / "empty", "itself": f"{runs[0]}/"}[change]
    answer = coc("agree", runs[0], other)
    assert (answer.code, "error:" in answer.err) == (2, True)
    assert message in answer.err


@pytest.fixture
def reviewed(tmp_path):
    """A run of six labels, of which ann accepted three and rejected two."""
    folder = write_run(tmp_path / "some" / "run", {(row.clip_id, row.t_us): row.label for row in rows(6)})
    store = filled(str(folder), count=6)
    reject = Judgement(verdict=Verdict.REJECT, reason=Reason.OTHER, note="<b>no</b>")
    for one, judgement in zip(page(store, Filters()).tasks, (ACCEPT, reject, ACCEPT, reject, ACCEPT), strict=False):
        review(store, one.task, "ann", judgement)
    store.close()
    return folder


@pytest.mark.parametrize("people", ["people", "{run}@people", "{run}@ann", "{run}/@people"])
def test_people_are_a_side(reviewed, tmp_path, people):
    answer = coc("agree", reviewed, people.format(run=reviewed), "--resamples", 100, "--out", tmp_path / "a.json")
    assert answer.code == 0, answer.err
    who = "ann" if people.endswith("ann") else "people"
    for part in (f"B  run@{who} (ann)", "5 pairs", "3 with decisions on both sides", "2 decided in A, abstained in B"):
        assert part in answer.out
    assert f"note: run@{who}: 2 labels were rejected and 0 left as unsure" in answer.err
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["b"]["verdicts"] == {"accept": 3, "edit": 0, "reject": 2, "unsure": 0}
    assert written["b"]["reviewers"] == ["ann"]


def test_people_who_cannot_be_a_side_end_with_2(reviewed, runs):
    for side, message in (
        (f"{reviewed}@zoe", "nobody called 'zoe' reviews it"),
        (f"{reviewed}@aud", "has been judged by aud"),
        (f"{runs[0]}@people", "nobody has reviewed this run"),
        (f"{reviewed}@", "no such folder"),
    ):
        answer = coc("agree", reviewed, side)
        assert (answer.code, message in answer.err) == (2, True), answer.err
    answer = coc("agree", f"{reviewed}@ann", f"{reviewed}/@ann")
    assert (answer.code, "compared with itself" in answer.err) == (2, True)
    assert not (runs[0] / "reviews.sqlite").exists()


def test_folders_and_names_may_have_an_at_sign(tmp_path):
    folder = tmp_path / "run@people"
    folder.mkdir()
    store = ReviewStore.of_run(str(folder))
    store.add_person("ann@x.org", Role.REVIEWER)
    store.close()
    assert side_name(str(folder)) == SideName(str(folder))
    assert side_name(f"{folder}@people") == SideName(str(folder), "people")
    assert side_name(f"{folder}@ann@x.org") == SideName(str(folder), "ann@x.org")
    assert side_name(f"{folder}@../x\x00") == SideName(str(folder), "../x\x00")  # a name, and never a path


@pytest.mark.parametrize("option", ["--out", "--pairs"])
def test_an_output_that_cannot_be_ends_with_2(runs, tmp_path, option):
    answer = coc("agree", *runs, option, tmp_path)
    assert (answer.code, "is a folder. Name a file." in answer.err) == (2, True)
