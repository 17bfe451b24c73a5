import pytest

from builders.coc import coc
from builders.runs import only_run
from coc_labeling.checks.results import CHECKS_TABLE


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("labelled")
    assert inputs.label(out) == 0
    return only_run(out)


def test_the_command_tells_what_came_of_it(labelled):
    answer = coc("check", labelled, "--num-workers", 1)
    assert answer.code == 0, answer.err
    for part in ("labels by risk", "contradicted", "speed", "riskiest labels", CHECKS_TABLE, "check_summary.json"):
        assert part in answer.out


def test_shards_are_merged_by_the_command_that_merges_all(labelled):
    for index in range(2):
        assert coc("check", labelled, "--shard", f"{index}/2", "--num-workers", 1).code == 0
    answer = coc("merge", labelled)
    assert answer.code == 0, answer.err
    assert (labelled / CHECKS_TABLE).exists()


@pytest.mark.parametrize("arguments", [["none"], [".", "data.data_dir"]])
def test_wrong_arguments_end_with_2(labelled, arguments):
    answer = coc("check", *arguments)
    assert (answer.code, "error:" in answer.err) == (2, True)
