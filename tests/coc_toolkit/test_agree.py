import json

import pytest

from builders.agreed import decision, write_run
from builders.coc import coc
from coc_labeling.schema import abstain

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
