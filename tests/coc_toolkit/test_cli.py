import pytest

from builders.coc import coc
from builders.commands import labels
from builders.runs import only_run, records_in, write_keyframes

COMMANDS = ["demo", "meta-actions", "keyframes", "label", "run", "merge", "report", "doctor"]


def test_without_a_command_all_are_listed():
    answer = coc()
    assert answer.code == 2
    assert all(command in answer.out + answer.err for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    answer = coc(command, "--help")
    assert answer.code == 0
    assert "usage" in answer.out.lower()


def test_an_unknown_command_is_named():
    answer = coc("nonsense")
    assert answer.code == 2
    assert "nonsense" in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--data_dir", "/nowhere", "--out", "{tmp}/o"], "/nowhere: no such folder"),
        (["run", "--data_dir", "{tmp}", "--out", "{tmp}/o"], "no ego motion found"),
        (
            ["run", "--data_dir", "{tmp}", "--out", "{tmp}/o", "--dataset", "kitti"],
            "unknown dataset 'kitti'; known: pai",
        ),
        (["run", "--data_dir", "{tmp}", "--out", "{tmp}/o", "--shard", "3/2"], "--shard '3/2'"),
        (["run", "--data_dir", "{tmp}", "--out", "{tmp}/o", "--num_workers", "0"], "num_workers=0"),
        (["merge", "{tmp}"], "no shards in"),
        (["merge", "/nowhere"], "/nowhere"),
        (["merge", "{tmp}/file"], "{tmp}/file"),
        (["report", "{tmp}"], "Expected an experiment folder"),
        (["report", "/nowhere"], "/nowhere"),
        (["demo", "--data", "/nowhere"], "/nowhere: no demo data"),
        (["demo", "--data", "{tmp}", "--out", "{tmp}/o"], "no such folder"),
        (["meta-actions", "--dataset_name", "table", "--data_dir", "/nowhere", "--save_dir", "{tmp}/o"], "/nowhere"),
        (["keyframes", "--meta_action_dir", "/nowhere"], "/nowhere: no such folder"),
        (["label", "model_name=gpt9"], "known: rules, qwen"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:50].replace("/", ""),
)
def test_what_cannot_be_done_is_answered_with_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "file").write_text("")
    answer = coc(*(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert answer.code == 2
    assert message.replace("{tmp}", str(tmp_path)) in answer.err
    assert "Traceback" not in answer.err


def test_a_missing_option_is_named():
    answer = coc("run", "--out", "o")
    assert answer.code == 2
    assert "--data_dir" in answer.err


def test_step_1_is_the_same_command(inputs, tmp_path):
    options = ["--dataset_name", "table", "--data_dir", inputs.data_dir, "--meta_action_names", "all_ego"]
    assert coc("meta-actions", *options, "--save_dir", tmp_path, "--num_workers", 1).code == 0
    assert labels(tmp_path) == labels(inputs.root / "meta_actions")


def test_step_2_is_the_same_command(inputs, tmp_path):
    assert coc("keyframes", "--meta_action_dir", inputs.meta_action_dir, "--output_dir", tmp_path).code == 0
    assert (tmp_path / inputs.keyframes.name).read_bytes() == inputs.keyframes.read_bytes()


def test_step_3_is_the_same_command(inputs, tmp_path):
    assert coc("label", *inputs.overrides(tmp_path / "a")).code == 0
    assert inputs.label(tmp_path / "b") == 0
    assert records_in(only_run(tmp_path / "a")) == records_in(only_run(tmp_path / "b"))


def test_step_3_takes_its_own_options(inputs):
    answer = coc("label", "--config-name=base_config_vlm", "--cfg", "job", "model_name=dummy")
    assert answer.code == 0
    assert "segment_generator_type: parquet" in answer.out


def test_an_exit_code_of_a_step_is_the_command_s(inputs, tmp_path):
    path = write_keyframes(tmp_path / "k.json", {"stop": [("clip_1", 50), ("ghost", 50)]})
    assert coc("label", *inputs.overrides(tmp_path / "out", **{"data.segment_config_path": path})).code == 1


def test_a_report_of_a_run_is_one_html_file(inputs, tmp_path):
    assert inputs.label(tmp_path / "runs") == 0
    page = tmp_path / "page.html"
    answer = coc("report", only_run(tmp_path / "runs"), "--out", page, "--sample", 1)
    assert answer.code == 0
    assert str(page) in answer.out
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
