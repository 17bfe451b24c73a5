import json
from pathlib import Path

import pytest

from builders.coc import coc
from builders.commands import contents
from builders.runs import only_run

DUMMY = ("--model-name", "dummy")


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory) -> Path:
    """Labels by rules; tests copy nothing and write elsewhere."""
    out = tmp_path_factory.mktemp("labelled")
    assert inputs.label(out) == 0
    return only_run(out)


def test_a_judge_that_says_nothing_is_tried_from_beginning_to_end(labelled, tmp_path):
    before = contents(labelled)
    told = coc("validate", labelled, *DUMMY, "--sample", 8, "--controls", 4, "--out", tmp_path / "scores")
    assert told.code == 0, told.err
    assert "  decision_supported_by_video: mean 0.00, median 0.00 of 8" in told.out
    assert f"scores: {tmp_path}/scores/validation.json" in told.out
    final = json.loads((tmp_path / "scores" / "validation.json").read_text())
    assert final["judge"]["name"] == "dummy"
    assert final["judge"]["informative"] is not True
    assert len(final["labels"]) == 8
    assert contents(labelled) == before


def test_the_same_command_again_has_nothing_left_to_do(labelled, tmp_path):
    command = ("validate", labelled, *DUMMY, "--sample", 4, "--controls", 0, "--out", tmp_path / "scores")
    assert coc(*command).code == 0
    told = coc(*command)
    assert told.code == 0
    assert "(0 now" in told.out


def test_a_dry_run_writes_nothing(labelled, tmp_path):
    told = coc("validate", labelled, *DUMMY, "--dry-run", "--out", tmp_path / "scores")
    assert told.code == 0, told.err
    assert "dry run: nothing is sent" in told.out
    assert "hosts: none known" in told.out
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model-name", "rules"), "--model-name rules: unknown; a judge is one of: "),
        (("--model-name", "gpt9"), "--model-name gpt9: unknown"),
        ((*DUMMY, "--stages", "4"), "--stages '4': expected some of 1 (evidence), 2 (behaviour) and 3 (cause)"),
        ((*DUMMY, "--shard", "3/2"), "--shard '3/2'"),
        ((*DUMMY, "data.datadir=x"), "unknown configuration key 'data.datadir'"),
        ((*DUMMY, "data.data_dir"), "expected key=value, found 'data.data_dir'"),
        ((*DUMMY, "num_workers=none"), "num_workers"),
        ((*DUMMY, "data.data_dir=/no/such/folder"), "/no/such/folder"),
        (("--model-name", "openai_compatible"), "needs openai_compatible.base_url and openai_compatible.model"),
        ((*DUMMY, "max_cost_usd=1"), "price.prompt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_told_and_the_exit_code_is_2(labelled, tmp_path, arguments, message):
    told = coc("validate", labelled, *arguments, "--out", tmp_path / "scores")
    assert told.code == 2
    assert message in told.err
    assert not list(tmp_path.rglob("*.jsonl")) or (tmp_path / "scores" / "evaluations.jsonl").read_bytes() == b""


def test_what_is_no_experiment_is_named(tmp_path):
    told = coc("validate", tmp_path, *DUMMY)
    assert told.code == 2
    assert "expected an experiment folder with labels.parquet" in told.err


def test_an_experiment_without_labels_has_nothing_to_judge(inputs, tmp_path):
    (tmp_path / "none.json").write_text("{}")
    assert inputs.label(tmp_path / "runs", data__segment_config_path=str(tmp_path / "none.json")) in (0, 2)
    told = coc("validate", only_run(tmp_path / "runs"), *DUMMY)
    assert told.code == 2
    assert "Nothing to judge" in told.err


def test_the_options_are_told(labelled):
    told = coc("validate", "--help")
    assert told.code == 0
    for option in ("--model-name", "--stages", "--sample", "--controls", "--with-motion", "--force", "--dry-run"):
        assert option in told.out
