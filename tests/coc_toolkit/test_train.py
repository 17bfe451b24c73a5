"""``coc train`` on the terminal, as far as it comes without torch."""

from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from coc_toolkit import train_command
from coc_toolkit.cli import app

NEEDED = ("out=o", "model.path=m", "data.labels=l")


def coc(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_help_shows_the_keys(stage):
    shown = coc("train", stage, "--help")
    assert shown.exit_code == 0
    assert f"Usage: coc train {stage} key=value" in shown.output
    assert "gradient_checkpointing:" in shown.output
    assert ("vlm_cache_gb" in shown.output) == (stage == "stage2")


def test_both_stages_are_listed():
    shown = coc("train", "--help")
    assert "stage1" in shown.output
    assert "stage2" in shown.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "out=null: expected a text"),
        ((*NEEDED, "train.lrr=1"), "Did you mean train.lr"),
        ((*NEEDED, "--lr", "1"), "'--lr': expected key=value"),
    ],
)
def test_what_cannot_be_meant(arguments, said):
    shown = coc("train", "stage1", *arguments)
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")
def test_without_torch():
    shown = coc("train", "stage1", *NEEDED)
    assert shown.exit_code == 2
    assert "pip install 'coc-toolkit[train]'" in shown.output


def test_a_command_in_python(monkeypatch):
    assert train_command.main("stage1", ["--help"]) == 0
    assert train_command.main("stage1", ["train.lr=-1"]) == 2
