import json

import numpy as np
import pytest

from alpamayo_r1.evaluation.errors import EvaluationError
from alpamayo_r1.evaluation.predictions import BadLineError, RawLine, lines_of, parse, prediction_files
from builders.predicted import arc, scene_line


def raw(content) -> RawLine:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return RawLine("out/predictions.jsonl", 7, text)


def good(**changes):
    line = scene_line([arc(9.0), arc(10.0), arc(11.0), arc(12.0)], arc(10.0), list("abcd"), sets=2)
    return line | changes


def test_a_line_becomes_a_scene():
    scene = parse(raw(good()))
    assert scene.pred_xy.shape == (2, 2, 64, 2)
    assert scene.cot == ("a", "b", "c", "d")
    assert scene.flat_xy[2] == pytest.approx(arc(11.0)[0], abs=1e-5)
    assert (scene.stopped.all(), scene.key, scene.model) == (True, ("clip", 5_100_000), "made-up none")


def test_what_is_not_known_may_be_missing_and_what_is_new_is_passed_over():
    scene = parse(raw(good(future_xy=None, future_yaw=None, something_new=[1], problems=["odd"])))
    assert (scene.future_xy, scene.future_yaw, scene.problems) == (None, None, ("odd",))
    assert parse(raw(good(future_yaw=None))).future_yaw is None
    assert parse(raw(good(future_xy=[], future_yaw=[]))).future_xy is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"clip_id": "../../etc"}, "is no clip id"),
        ({"t0_us": -1}, "t0_us"),
        ({"dt": 0.2}, "expected steps of 0.1 s, found 0.2"),
        ({"pred_xy": []}, "clip clip: pred_xy: expected at least one set"),
        ({"cot": [["a", "b"], ["c"]]}, "cot: expected 2 sets of 2 samples"),
        ({"stopped": [[True, True]]}, "stopped: expected 2 sets of 2 samples"),
        ({"history_xy": [[0.0, 0.0]]}, "history_xy: expected at least 2 poses, found 1"),
        ({"history_xy": [[64.0, 0.0], [65.0, 0.0]]}, "the last pose at t0, which is [0, 0] in ego's frame, found [65"),
        ({"pred_xy": None}, "pred_xy: Input should be a valid array, found None"),
        ({"future_yaw": [0.0]}, "future_yaw: expected 64 headings as in future_xy, found 1"),
        ({"history_xy": [[0.0, 1e9], [0, 0]]}, "history_xy.0.1"),
        ({"pred_yaw": [[[0.0] * 64] * 2, [[0.0] * 64, [0.0] * 63]]}, "found by set and sample [[64, 64], [64, 63]]"),
    ],
)
def test_bad_lines_name_file_line_and_what_is_wrong(changes, message):
    with pytest.raises(BadLineError) as error:
        parse(raw(good(**changes)))
    assert str(error.value).startswith("out/predictions.jsonl, line 7: ")
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"null", b'{"schema_version": 1}'])
def test_what_is_no_prediction_is_an_error(content):
    with pytest.raises(BadLineError, match="line 7"):
        parse(raw(content))


def test_numbers_that_are_not_finite_are_errors():
    for bad in (np.nan, np.inf):
        line = good()
        line["pred_xy"][1][0][3][0] = bad
        with pytest.raises(BadLineError, match=r"pred_xy\.1\.0\.3\.0: .*found (nan|inf)"):
            parse(raw(line))


def test_too_few_steps_are_an_error():
    with pytest.raises(BadLineError, match=r"expected 10 to 200 steps of 0\.1 s, found 5"):
        parse(raw(scene_line([arc(steps=5)])))


def test_a_folder_stands_for_its_file_or_its_shards(tmp_path):
    with pytest.raises(EvaluationError, match=r"no predictions\.jsonl in it"):
        prediction_files(str(tmp_path))
    for name in ("predictions.shard-1-of-2.jsonl", "predictions.shard-0-of-2.jsonl", "other.jsonl"):
        (tmp_path / name).write_text("\n \nx\n")
    shards = prediction_files(str(tmp_path))
    assert [path.rpartition("/")[2] for path in shards] == [
        "predictions.shard-0-of-2.jsonl",
        "predictions.shard-1-of-2.jsonl",
    ]
    assert [(line.number, line.content) for line in lines_of(shards)] == [(3, b"x\n")] * 2
    (tmp_path / "predictions.jsonl").write_text("")
    assert prediction_files(str(tmp_path)) == [str(tmp_path / "predictions.jsonl")]
    with pytest.raises(EvaluationError, match="no such file"):
        prediction_files(str(tmp_path / "nowhere"))
