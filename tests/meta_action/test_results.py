import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_runs.shards import Shard
from driving_clips.errors import DatasetError
from meta_action.names import BY_NAME, EGO_NAMES, RANK
from meta_action.results import CLIPS_SCHEMA, JOURNAL_SCHEMA, ResultsFolder, in_file_order
from meta_action.timeline import Span, timeline
from meta_action.timeline_table import SPANS_SCHEMA

STOP = Span("longitudinal", "stop", 0, 50)


def row(clip_id: str, *spans: Span, outcome: str = "done") -> dict:
    return {
        "clip_id": clip_id,
        "outcome": outcome,
        "reason": "labelled",
        "detail": "",
        "source": f"/data/{clip_id}.csv",
        "stamped_path": f"/data/{clip_id}.csv",
        "source_size": 1,
        "source_mtime_ns": 2,
        "first_tick": 0,
        "ticks": 201,
        "span_names": [RANK[span.name] for span in spans],
        "span_starts": [span.start for span in spans],
        "span_ends": [span.end for span in spans],
    }


def batch(*rows: dict) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), JOURNAL_SCHEMA)


def ids(table: pa.Table) -> list[str]:
    return table.column("clip_id").to_pylist()


def test_all_ego_goes_to_the_released_tool_s_folders(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    assert folder.raw_dir == f"{tmp_path}/tmp/raw_results"
    assert folder.final_dir == f"{tmp_path}/final_outputs"


def test_a_list_of_names_has_folders_of_its_own(tmp_path):
    folder = ResultsFolder(str(tmp_path), ("stop", "steer_left"))
    assert folder.raw_dir == f"{tmp_path}/stop-steer_left"
    assert folder.final_dir == f"{tmp_path}/stop-steer_left_post"


def test_different_selections_never_share_a_folder(tmp_path):
    names = tuple(BY_NAME)
    folders = {ResultsFolder(str(tmp_path), names[:k]).final_dir for k in range(1, len(names) + 1)}
    assert len(folders) == len(names)


def test_a_shard_s_tables_carry_its_number(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES, Shard(1, 3))
    assert folder.table_path("clips.parquet") == f"{tmp_path}/clips.shard-1-of-3.parquet"


def test_a_clip_without_spans_has_a_raw_result_and_no_text(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened():
        folder.write_clip(timeline("a", [STOP]))
        folder.write_clip(timeline("a", []))
    assert (tmp_path / "tmp" / "raw_results" / "a.json").read_text() == "[]"
    assert not (tmp_path / "final_outputs" / "a.txt").exists()


def test_two_runs_in_one_folder_are_refused(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened(), pytest.raises(DatasetError, match="another run"), folder.opened():
        pass


def test_shards_may_run_in_one_folder_at_once(tmp_path):
    with (
        ResultsFolder(str(tmp_path), EGO_NAMES, Shard(0, 2)).opened(),
        ResultsFolder(str(tmp_path), EGO_NAMES, Shard(1, 2)).opened(),
    ):
        pass


def test_the_tables_hold_the_journal_s_rows_in_the_order_of_the_texts(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened() as journal:
        journal.append(batch(row("b", STOP), row("a-1")))
        journal.append(batch(row("a", STOP, STOP._replace(start=60, end=70))))
        folder.settle(journal)
        assert journal.is_empty()
    clips, spans = folder.read_tables()
    assert ids(clips) == ["a-1", "a", "b"]  # as a-1.txt, a.txt, b.txt are sorted
    assert ids(spans) == ["a", "a", "b"]
    assert clips.schema.remove_metadata() == CLIPS_SCHEMA
    assert spans.schema.remove_metadata() == SPANS_SCHEMA
    assert spans.schema.field("start_tick").type == pa.int16()


def test_later_rows_of_a_clip_replace_the_earlier_ones(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened() as journal:
        journal.append(batch(row("a", STOP), row("b", STOP)))
        folder.settle(journal)
        journal.append(batch(row("a", STOP)))
        journal.append(batch(row("a", outcome="failed")))
        folder.settle(journal)
    clips, spans = folder.read_tables()
    assert clips.column("outcome").to_pylist() == ["failed", "done"]
    assert ids(spans) == ["b"]


def test_the_journal_of_another_selection_is_not_taken_over(tmp_path):
    reverse = ResultsFolder(str(tmp_path), ("reverse",))
    with reverse.opened() as journal:
        journal.append(batch(row("a")))  # a drive without reversing: no span
    everything = ResultsFolder(str(tmp_path), EGO_NAMES)
    with everything.opened() as journal:
        everything.settle(journal)
    assert ids(everything.read_tables()[0]) == []


def test_tables_of_another_selection_or_label_version_do_not_count(tmp_path, monkeypatch):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened() as journal:
        journal.append(batch(row("a", STOP)))
        folder.settle(journal)
    assert len(ResultsFolder(str(tmp_path), ("stop",)).read_tables()[0]) == 0
    assert len(folder.read_tables()[0]) == 1
    monkeypatch.setattr("meta_action.results.LABEL_VERSION", "other")
    assert len(folder.read_tables()[0]) == 0


def test_a_damaged_table_counts_as_missing(tmp_path):
    folder = ResultsFolder(str(tmp_path), EGO_NAMES)
    with folder.opened() as journal:
        journal.append(batch(row("a", STOP)))
        folder.settle(journal)
    path = tmp_path / "clips.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(folder.read_tables()[0]) == 0


def test_file_order_is_that_of_the_text_files_names():
    names = ["a", "a-", "a.b", "a0", "B", "a b", "_"]
    table = pa.table({"clip_id": names})
    assert ids(in_file_order(table)) == [name[:-4] for name in sorted(f"{name}.txt" for name in names)]


def test_the_table_says_which_selection_it_belongs_to(tmp_path):
    folder = ResultsFolder(str(tmp_path), ("stop",))
    with folder.opened() as journal:
        journal.append(batch(row("a", STOP)))
        folder.settle(journal)
    metadata = pq.read_schema(tmp_path / "meta_actions.parquet").metadata
    assert (metadata[b"selection"], metadata[b"final_dir"]) == (b"stop", b"stop_post")
