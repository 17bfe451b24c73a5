import pyarrow as pa

from coc_labeling.report.problems import clip_outcomes, window_outcomes
from coc_labeling.report.runs import LabelRun, MetaActionRun
from coc_labeling.report.tables import Found
from coc_labeling.results import LABELS_SCHEMA

CLIPS = pa.schema(
    [(name, pa.string()) for name in ("clip_id", "outcome", "reason", "detail")] + [("ticks", pa.int16())]
)


def clips(*rows) -> Found:
    table = pa.Table.from_pylist([dict(zip(CLIPS.names, row, strict=False)) for row in rows], CLIPS)
    return Found(("clips.parquet",), table)


def summary(path: str, outcome: str, reason: str, listed, **messages) -> dict:
    return {"path": path, "ids": {outcome: {reason: listed}}, "messages": messages, "counts": {"done": 7}}


def shown(outcomes) -> list[tuple]:
    return [(p.outcome, p.reason, p.count, p.examples, p.more) for p in outcomes.problems]


def test_a_clip_in_table_and_summary_counts_once(tmp_path):
    table = clips(("a", "done", "labelled", ""), ("b", "rejected", "hole", "a hole"))
    own = summary("s.json", "rejected", "hole", ["b", "c"], b="a hole", c="another")
    outcomes = clip_outcomes(MetaActionRun("p", (own,), table, clips()))
    assert outcomes.done == 1
    assert shown(outcomes) == [("rejected", "hole", 2, {"b": "a hole", "c": "another"}, 0)]


def test_ids_in_a_side_file(tmp_path):
    lines = "".join(f"clip-{i}/cot_0.yaml\tmessage {i}\n" for i in range(1200))
    (tmp_path / "run_summary.failed.crashed.tsv").write_text(lines)
    listed = {"file": "run_summary.failed.crashed.tsv", "count": 1200}
    own = summary(str(tmp_path / "run_summary.json"), "failed", "crashed", listed)
    outcomes = window_outcomes(LabelRun("p", (own,), Found((), LABELS_SCHEMA.empty_table())))
    ((outcome, reason, count, examples, more),) = shown(outcomes)
    assert (outcome, reason, count, more) == ("failed", "crashed", 1200, 1197)
    assert examples["clip-0/cot_0.yaml"] == "message 0"
    assert outcomes.problems[0].where == str(tmp_path / "run_summary.failed.crashed.tsv")


def test_shards_are_added_up():
    own = tuple(summary(f"{i}.json", "failed", "crashed", [f"clip-{i}"]) for i in range(2))
    outcomes = window_outcomes(LabelRun("p", own, Found((), LABELS_SCHEMA.empty_table())))
    assert outcomes.failed == 2
    assert outcomes.problems[0].where == "0.json, 1.json"


def test_without_its_table_the_summary_counts():
    assert (
        clip_outcomes(
            MetaActionRun("p", (summary("s", "failed", "x", []),), Found((), CLIPS.empty_table()), clips())
        ).done
        == 7
    )
