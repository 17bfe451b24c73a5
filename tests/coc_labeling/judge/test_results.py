import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.results import JudgeFolder, Key, Rows, refuse_experiment
from coc_labeling.judge.stages import Stage

KEY = Key("a", 5, Stage.EVIDENCE, Telling.LABEL)


def row(**changes) -> dict:
    whole = {
        "clip_id": "a",
        "event_timestamp": 5,
        "stage": 1,
        "telling": "label",
        "question_hash": "q",
        "label_hash": "l",
        "evaluation": {"visual_evidence_score": 0.5, "scene_factor_hallucination_score": 0.0, "reason": "ü"},
        "error": None,
        "usage": {"prompt_tokens": 7},
    }
    return whole | changes


def read(path, *lines) -> Rows:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    rows = Rows()
    rows.read(str(path))
    return rows


def test_the_last_row_of_a_question_counts_and_all_of_them_cost(tmp_path):
    path = tmp_path / "evaluations.jsonl"
    rows = read(path, row(evaluation=None, error="x: y"), row())
    assert rows.finished(KEY, "q", "l")["evaluation"]["visual_evidence_score"] == 0.5
    assert rows.spent(str(path)).prompt_tokens == 14


def test_a_row_with_an_error_or_about_another_label_or_question_answers_nothing(tmp_path):
    rows = read(tmp_path / "rows", row(evaluation=None, error="x: y"))
    assert rows.finished(KEY, "q", "l") is None
    rows = read(tmp_path / "rows", row())
    assert rows.finished(KEY, "q", "another") is None
    assert rows.finished(KEY, "another", "l") is None
    assert rows.finished(KEY._replace(telling=Telling.TWIN), "q", "l") is None


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"null",
        row(clip_id=None),
        row(event_timestamp="5"),
        row(stage=4),
        row(stage=None),
        row(telling=None),
        row(telling=[]),
        row(stage=[]),
        row(label_hash=1),
        row(error=1),
        row(evaluation=None),
        row(evaluation={"visual_evidence_score": "1"}),
        row(evaluation={"visual_evidence_score": 2}),
        row(evaluation={}),
        b'{"a":' * 100_000,
        json.dumps(row()).encode()[:-9],
    ],
    ids=lambda line: str(line)[:40],
)
def test_what_is_no_row_is_counted_and_left_out(tmp_path, line):
    rows = read(tmp_path / "rows", row(), line, b"", row(event_timestamp=6))
    assert (len(rows.latest), rows.torn) == (2, 1)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(tmp_path_factory, content):
    rows = read(tmp_path_factory.mktemp("rows") / "rows", content.replace(b"\n", b" "), row())
    assert rows.finished(KEY, "q", "l")


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_half_written_spoils_no_later_one(tmp_path, cut):
    folder = JudgeFolder(str(tmp_path))
    with folder.opened() as writer:
        writer.write(row())
        writer.write(row(event_timestamp=6))
    path = tmp_path / "evaluations.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with folder.opened() as writer:
        writer.write(row(event_timestamp=7))
    rows = folder.rows()
    assert {key.t_us for key, _ in rows.latest} == ({5, 6, 7} if cut == 1 else {5, 7})
    assert rows.torn == (0 if cut == 1 else 1)


def test_rows_of_all_shards_are_read(tmp_path):
    for index in range(2):
        with JudgeFolder(str(tmp_path), _shard(index)).opened() as writer:
            writer.write(row(clip_id=str(index)))
            writer.write(row(clip_id=str(index), planted="wrong_side", telling="planted"))
    (tmp_path / "evaluations_of_mine.jsonl").write_text("no rows of ours\n")
    rows = JudgeFolder(str(tmp_path)).rows()
    assert {(k.clip_id, str(k.telling)) for k, _ in rows.latest} == {(c, t) for c in "01" for t in ("label", "planted")}
    assert rows.torn == 0


def _shard(index: int):
    from batch_runs.shards import Shard

    return Shard(index, 2)


def test_threads_write_whole_lines(tmp_path):
    folder = JudgeFolder(str(tmp_path))
    with folder.opened() as writer:
        threads = [
            threading.Thread(target=lambda n=n: [writer.write(row(event_timestamp=n * 50 + i)) for i in range(50)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(folder.rows().latest) == 200


def test_text_that_utf_8_cannot_hold_is_kept(tmp_path):
    folder = JudgeFolder(str(tmp_path))
    with folder.opened() as writer:
        writer.write(row(coc_label="half \ud83d of it, and a line\u2028 end\n"))
    (found,) = folder.rows().latest.values()
    assert found["coc_label"].startswith("half ")


def test_a_folder_of_records_is_refused(tmp_path):
    refuse_experiment(str(tmp_path))
    (tmp_path / "labels.shard-0-of-2.parquet").write_bytes(b"")
    with pytest.raises(CocLabelingError, match="this is an experiment"):
        refuse_experiment(str(tmp_path))
