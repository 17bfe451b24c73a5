import pytest

from builders.coc import coc
from coc_labeling.keyframes import read_keyframes


def curate(inputs, out, *options):
    basic = ("--dataset", "table", "--data_dir", inputs.data_dir, "--meta_action_dir", inputs.meta_action_dir)
    return coc("curate", *basic, "--out", out, "--num_workers", 1, *options)


def test_the_command_tells_what_it_kept_and_why(inputs, tmp_path):
    answer = curate(inputs, tmp_path, "--budget", 5, "--keep", "rare=0.9", "--keep", "empty=0", "--seed", 3)
    assert answer.code == 0, answer.err
    for part in ("kept 5 of", "over budget", "strong_deceleration", "rare for", str(tmp_path / "keyframes.json")):
        assert part in answer.out
    assert len(read_keyframes(str(tmp_path / "keyframes.json"))) == 5


def test_a_keyframe_file_may_be_given_instead(inputs, tmp_path):
    given = ("--dataset", "table", "--data_dir", inputs.data_dir, "--keyframes", inputs.keyframes)
    answer = coc("curate", *given, "--out", tmp_path, "--num_workers", 1, "--allow", "localisation_jump")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("options", [("--budget", 0), ("--keep", "x=1"), ("--allow", "x"), ("--scene_list", "none")])
def test_wrong_arguments_end_with_2(inputs, tmp_path, options):
    answer = curate(inputs, tmp_path, *options)
    assert (answer.code, "error:" in answer.err) == (2, True)
