import pytest

from builders.coc import coc
from builders.exports import experiment


@pytest.fixture
def run(tmp_path):
    return experiment(tmp_path, ["clip-a", "clip-b"])


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "reasoning-parquet"])
def test_the_command_writes_a_dataset_and_its_card(run, tmp_path, format_name):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    answer = coc("export", run, "--format", format_name, "--out", tmp_path / "out", "--splits", "sft=1")
    assert answer.code == 0, answer.err
    assert "3 labels of 2 clips exported" in answer.out
    assert (tmp_path / "out" / "README.md").exists()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--format", "xlsx"), "xlsx"),
        (("--format", "jsonl", "--only", "accepted"), "accepted"),
        (("--format", "jsonl", "--splits", "sft=zero"), "sft"),
    ],
)
def test_what_cannot_be_exported_is_said(run, tmp_path, changes, said):
    answer = coc("export", run, "--out", tmp_path / "out", *changes)
    assert (answer.code, said in answer.err) == (2, True)
    assert not (tmp_path / "out" / "README.md").exists()


def test_a_folder_that_is_no_run_is_named(tmp_path):
    answer = coc("export", tmp_path / "nothing", "--format", "jsonl", "--out", tmp_path / "out")
    assert (answer.code, str(tmp_path / "nothing") in answer.err) == (2, True)
