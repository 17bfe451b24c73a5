import json
import threading

import numpy as np
import pytest

from batch_runs.shards import Shard
from builders.judges import rows_on
from coc_labeling.errors import CocLabelingError
from coc_labeling.judge.controls import Telling
from coc_labeling.judge.results import JudgeFolder, read_final, refuse_experiment
from coc_labeling.judge.rows import Kind, Rows


def row(**changes) -> dict:
    whole = {
        "clip_id": "a",
        "event_timestamp": 5,
        "stage": 1,
        "telling": "label",
        "question_hash": "q1",
        "label_hash": "l",
        "evaluation": {"visual_evidence_score": 0.5, "scene_factor_hallucination_score": 0.0},
    }
    return whole | changes


def read_back(folder: JudgeFolder, *moments: tuple[str, int]) -> Rows:
    """Return the rows about some labels."""
    rows = rows_on(dict.fromkeys(moments, "l"))
    folder.read_into(rows)
    return rows


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
    rows = read_back(folder, ("a", 5), ("a", 6), ("a", 7))
    assert [row["event_timestamp"] for ((_, row),) in rows.labels()] == ([5, 6, 7] if cut == 1 else [5, 7])
    assert rows.torn == (0 if cut == 1 else 1)


def test_rows_of_all_shards_are_read(tmp_path):
    for index in range(2):
        with JudgeFolder(str(tmp_path), Shard(index, 2)).opened() as writer:
            writer.write(row(clip_id=str(index)))
            writer.write(row(clip_id=str(index), planted="wrong_side", telling="planted"))
    (tmp_path / "evaluations_of_mine.jsonl").write_text("no rows of ours\n")
    rows = read_back(JudgeFolder(str(tmp_path)), ("0", 5), ("1", 5))
    assert {telling: int(np.sum(cells["kind"] == Kind.EVALUATED)) for telling, cells in rows.cells.items()} == {
        Telling.LABEL: 2,
        Telling.PLANTED: 2,
    }
    assert rows.torn == 0


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
    rows = read_back(folder, *(("a", number) for number in range(200)))
    assert (len(list(rows.labels())), rows.torn) == (200, 0)


def test_text_that_utf_8_cannot_hold_is_kept(tmp_path):
    folder = JudgeFolder(str(tmp_path))
    with folder.opened() as writer:
        writer.write(row(coc_label="half \ud83d of it, and a line\u2028 end\n"))
    (((_, found),),) = read_back(folder, ("a", 5)).labels()
    assert found["coc_label"].startswith("half ")
    folder.write_final({"judge": "\ud83d"}, [found])
    final = json.loads((tmp_path / "validation.json").read_text())
    assert (final["judge"], final["labels"]) == ("\ud83d", [found])


def test_the_final_file_is_json_however_many_labels_there_are(tmp_path):
    for labels in ([], [{"a": "ü"}], [{"a": 1}, {"b": [2]}]):
        JudgeFolder(str(tmp_path)).write_final({"judge": {"name": "x"}}, iter(labels))
        assert json.loads((tmp_path / "validation.json").read_text()) == {"judge": {"name": "x"}, "labels": labels}
    assert [path.name for path in tmp_path.iterdir()] == ["validation.json"]


def test_a_folder_of_records_is_refused(tmp_path):
    refuse_experiment(str(tmp_path))
    (tmp_path / "labels.shard-0-of-2.parquet").write_bytes(b"")
    with pytest.raises(CocLabelingError, match="this is an experiment"):
        refuse_experiment(str(tmp_path))


@pytest.mark.parametrize("labels", [[], [{"coc_label": "Stop."}, {"coc_label": 'a "labels": ['}]])
def test_the_final_file_is_read_without_its_labels(tmp_path, labels):
    content = {"judge": {"reason": ' "labels": ['}, "summary": {"labels": len(labels)}}
    folder = JudgeFolder(str(tmp_path))
    folder.write_final(content, labels)
    path = tmp_path / "validation.json"
    assert json.loads(path.read_text()) == content | {"labels": labels}
    assert read_final(str(path)) == content
    path.write_text(json.dumps(content | {"labels": labels}))
    assert read_final(str(path)) == content | {"labels": labels}
