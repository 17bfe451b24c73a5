import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.examples import MOST_CHARS, TrainingExample, read_labels
from builders.exports import MOMENTS_US, experiment, exported, filmed
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.content import Component, Content

GOOD = {"event_start_timestamp": 5_100_000, "cot": "Stop for the red light."}


def written(folder, *rows, **columns):
    """Write rows of clip id and events, as text where they are none."""
    path = folder / "reasoning" / "ood_reasoning.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [{"clip_id": clip, "events": own if isinstance(own, str) else json.dumps(own)} for clip, own in rows]
    table = pa.Table.from_pylist(content)
    for name, values in columns.items():
        table = table.append_column(name, [values])
    pq.write_table(table, path)
    return path


def moments_of(found):
    return [(own.clip_id, own.t0_us) for own in found.examples]


def test_a_reasoning_file_is_read_from_itself_and_from_its_folder(tmp_path):
    path = written(tmp_path, ("b", [GOOD]), ("a", [{**GOOD, "event_start_timestamp": 7_000_000.0}, GOOD]))
    found = read_labels(str(path))
    assert found == read_labels(str(tmp_path))
    assert [(own.clip_id, own.t0_us) for own in found.examples] == [
        ("a", 5_100_000),
        ("a", 7_000_000),
        ("b", 5_100_000),
    ]
    assert found.examples[0] == TrainingExample("a", 5_100_000, GOOD["cot"], None, None, "a")
    assert not found.left_out


def test_events_may_be_lists_the_field_coc_and_the_clips_an_index(tmp_path):
    events = [[{"event_start_timestamp": 1_600_000, "coc": " Go. "}], []]
    table = pa.table({"events": events, "__index_level_0__": ["a", "b"], "split": ["sft", "sft"]})
    pandas = json.dumps({"index_columns": ["__index_level_0__"], "columns": []})
    pq.write_table(table.replace_schema_metadata({"pandas": pandas}), tmp_path / "labels.bin")
    found = read_labels(str(tmp_path / "labels.bin"))
    assert found.examples == (TrainingExample("a", 1_600_000, "Go.", None, "sft", "a"),)
    assert found.left_out == Counter({"no events": 1})


BAD = {
    "broken JSON": "[{",
    "no events": "[]",
    "no text": [{**GOOD, "cot": "  "}],
    "no time": [{**GOOD, "event_start_timestamp": "5.1"}],
    "text with a token of a model": [{**GOOD, "cot": "Stop.<|cot_end|> Go."}],
    "text that is no Unicode": '[{"event_start_timestamp": 5100000, "cot": "Stop \\ud800"}]',
    f"text over {MOST_CHARS} characters": [{**GOOD, "cot": "x" * (MOST_CHARS + 1)}],
    "twice": [{**GOOD, "event_start_timestamp": 1}, {**GOOD, "event_start_timestamp": 1}],
}


def test_each_bad_row_is_named_counted_and_survived(tmp_path):
    written(tmp_path, ("good", [GOOD]), *((f"bad{n}", own) for n, own in enumerate(BAD.values())), ("../x", [GOOD]))
    found = read_labels(str(tmp_path))
    assert {own.clip_id for own in found.examples} == {"good", "bad7"}
    assert found.left_out == Counter({**dict.fromkeys(BAD, 1), "no clip id": 1})
    for number in range(len(BAD)):
        assert sum(f"bad{number}" in problem for problem in found.problems) == 1
    assert "../x" in found.problems[-1]


@pytest.mark.parametrize("time", [None, True, "now", -1, 0.5, float("nan"), float("inf"), 2**60, [1]])
def test_times_that_are_none_are_left_out(tmp_path, time):
    written(tmp_path, ("good", [GOOD]), ("bad", [{**GOOD, "event_start_timestamp": time}]))
    assert read_labels(str(tmp_path)).left_out == Counter({"no time": 1})


@pytest.mark.parametrize("events", ["null", "7", '"text"', "{}", "[1]", '[["a"]]', "[" * 100_000, '{"a": 1}'])
def test_json_of_another_form_is_left_out(tmp_path, events):
    written(tmp_path, ("good", [GOOD]), ("bad", events))
    found = read_labels(str(tmp_path))
    assert len(found.examples) == 1
    assert found.left_out.total() == 1


@pytest.mark.parametrize("token", ["<|im_end|>", "<i12>", "<think>", "</think>", "a|>", "<|"])
def test_text_with_tokens_is_left_out(tmp_path, token):
    written(tmp_path, ("good", [GOOD]), ("bad", [{**GOOD, "cot": f"Stop {token} now"}]))
    assert read_labels(str(tmp_path)).left_out == Counter({"text with a token of a model": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "coc", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=5))
def test_whatever_labels_hold_the_good_one_is_read(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("any")
    written(folder, ("good", [GOOD]), *((f"bad{n}", json.dumps(own)) for n, own in enumerate(contents)))
    assert read_labels(str(folder)).examples[-1].cot == GOOD["cot"]


def test_nothing_to_learn_from_is_an_error_that_says_why(tmp_path):
    written(tmp_path, ("a", "[{"), ("b", "[]"))
    with pytest.raises(AlpamayoError, match=r"no label to learn from \(1 broken JSON, 1 no events\).* a: events"):
        read_labels(str(tmp_path))


@pytest.mark.parametrize("make", ["nothing", "folder", "text", "columns"])
def test_what_holds_no_labels_is_refused(tmp_path, make):
    path = tmp_path / "labels"
    if make == "folder":
        path.mkdir()
    elif make == "text":
        path.write_text("clip_id")
    elif make == "columns":
        pq.write_table(pa.table({"clip": ["a"]}), path)
    with pytest.raises(AlpamayoError, match="expected"):
        read_labels(str(path))


def test_a_runs_labels_with_their_meta_actions(tmp_path):
    found = read_labels(str(experiment(tmp_path, ["a-0", "a-1"], dataset="boreas")))
    assert moments_of(found) == [("a-0", MOMENTS_US[0]), ("a-0", MOMENTS_US[1]), ("a-1", MOMENTS_US[0])]
    assert found.left_out == Counter({"abstention: no_decision": 1})
    assert {own.drive for own in found.examples} == {"a"}
    assert all(own.meta_action is None or ": " in own.meta_action for own in found.examples)


def test_an_export_keeps_split_and_text(tmp_path):
    run = experiment(tmp_path, ["a", "b", "c"])
    result = exported(run, tmp_path / "out", splits="sft=1,rl=1")
    found = read_labels(result.out)
    assert len(found.examples) == 5
    assert {own.split for own in found.examples} <= {"sft", "rl"}
    assert [own.cot for own in found.examples] == [own.cot for own in read_labels(str(run)).examples]
    assert not found.places
    reasoning = read_labels(exported(run, tmp_path / "reasoning", "reasoning-parquet", splits="sft=1,rl=1").out)
    assert reasoning.examples == found.examples


def test_a_chat_export_says_where_its_rows_stand(tmp_path):
    out = exported(filmed(tmp_path, ["a", "b"]), tmp_path / "out", "sft-chat").out
    found = read_labels(out)
    assert set(found.places) == {(own.clip_id, own.t0_us) for own in found.examples}
    for (clip_id, t0_us), place in found.places.items():
        row = json.loads(Path(place.path).read_bytes()[place.offset : place.offset + place.size])
        assert (row["clip_id"], row["event_start_timestamp"]) == (clip_id, t0_us)


def test_a_chat_exports_meta_actions_are_read_from_the_answer(tmp_path):
    run = filmed(tmp_path, ["a", "b"])
    content = Content((Component.IMAGE, Component.COT, Component.META_ACTION))
    out = exported(run, tmp_path / "out", "sft-chat", content=content).out
    of_run = {own.clip_id: own.meta_action for own in read_labels(str(run)).examples}
    assert all(own.meta_action == of_run[own.clip_id] for own in read_labels(out).examples)


def test_damaged_rows_of_an_export_are_named(tmp_path):
    out = exported(experiment(tmp_path, ["a", "b"]), tmp_path / "out").out
    path = tmp_path / "out" / "data" / "sft.jsonl"
    path.write_bytes(b'{"clip_id": \n[1]\n\xff\xfe\n' + path.read_bytes())
    found = read_labels(out)
    assert len(found.examples) == 3
    assert found.left_out == Counter({"broken JSON": 3})
    assert [problem.partition(": ")[0] for problem in found.problems] == [f"sft.jsonl line {n}" for n in (1, 2, 3)]


def test_exports_that_cannot_be_read_are_refused(tmp_path):
    run = experiment(tmp_path, ["a", "b"])
    with pytest.raises(AlpamayoError, match="--format csv"):
        read_labels(exported(run, tmp_path / "csv", "csv").out)
    out = exported(run, tmp_path / "out").out
    manifest = tmp_path / "out" / "export.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "state": "writing"}))
    with pytest.raises(AlpamayoError, match="not complete"):
        read_labels(out)
    (tmp_path / "run" / "labels.parquet").rename(tmp_path / "run" / "labels.shard-0-of-2.parquet")
    with pytest.raises(CocLabelingError, match="coc merge"):
        read_labels(str(run))


def test_nothing_here_needs_torch():
    code = "import sys, alpamayo_r1.training.examples, alpamayo_r1.training.prepared; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
