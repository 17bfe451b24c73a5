import csv
import json
import os
import re
import shutil
from importlib.metadata import version

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.commands import contents, leftovers
from builders.exports import MOMENTS_US, experiment, exported
from builders.golden import GOLDEN
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.card import cell
from coc_labeling.export.content import Content, Images, parse_components
from coc_labeling.export.drives import Drives
from coc_labeling.export.flat import _cell
from coc_labeling.export.selection import Selection, Text
from coc_labeling.export.sources import Only
from coc_labeling.export.splits import GroupBy, Splits, parse_shares
from driving_clips.datasets.loose import stable_hash

CLIPS = ["clip-a", "clip-b", "clip-c"]
FORMATS = ("jsonl", "csv", "reasoning-parquet")


@pytest.fixture
def run(tmp_path):
    return experiment(tmp_path, CLIPS)


def lines(out, split="sft"):
    return [json.loads(line) for line in (out / "data" / f"{split}.jsonl").read_text().splitlines()]


def test_json_lines_hold_labels_checks_and_provenance(run, tmp_path):
    result = exported(run, tmp_path / "out")
    rows = lines(tmp_path / "out")
    assert [(row["clip_id"], row["event_start_timestamp"]) for row in rows] == [
        (clip, t_us) for clip in CLIPS for t_us in MOMENTS_US
    ][:-1]
    assert [row["risk"] for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(row["schema_version"] == 3 and row["provenance"]["model"] == "some-model" for row in rows)
    assert "emerged_after" not in rows[0]["label"]
    assert result.counts.left_out == {"abstention: no_decision": 1}


def test_csv_reads_back(run, tmp_path):
    exported(run, tmp_path / "out", "csv")
    with (tmp_path / "out" / "data" / "sft.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["risk"]) for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert rows[0]["components"] == "stopped lead vehicle 12 m ahead; right curve, radius 80 m"


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "\ta", "\n=a", "\uff1d1"])
def test_no_cell_is_a_formula(text):
    assert _cell(text) == f"'{text}"


def test_reasoning_parquet_has_the_layout_that_training_reads(run, tmp_path):
    exported(run, tmp_path / "out", "reasoning-parquet", selection=Selection(Text.TRACE))
    rows = pq.read_table(tmp_path / "out" / "reasoning" / "ood_reasoning.parquet").to_pylist()
    assert [row["clip_id"] for row in rows] == CLIPS
    cot = "Ego drives 8.0 m/s. Observed: a lead vehicle."
    assert json.loads(rows[0]["events"]) == [{"event_start_timestamp": t_us, "cot": cot} for t_us in MOMENTS_US]
    assert [one["schema_version"] for one in json.loads(rows[0]["provenance"])] == [3, 3]


def test_pandas_finds_clips_by_their_id(run, tmp_path):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    exported(run, tmp_path / "out", "reasoning-parquet")
    frame = pandas.read_parquet(tmp_path / "out" / "reasoning" / "ood_reasoning.parquet")
    assert frame.index.name == "clip_id"
    assert [event["event_start_timestamp"] for event in json.loads(frame.loc["clip-a", "events"])] == list(MOMENTS_US)


def test_risk_and_status_choose(run, tmp_path):
    exported(run, tmp_path / "out", selection=Selection(max_risk=0.4, statuses=("high",)))
    assert [row["risk"] for row in lines(tmp_path / "out")] == [0.3, 0.4]


def test_a_record_that_changed_since_it_was_checked_has_no_risk(run, tmp_path):
    path = run / "clip-a" / f"cot_{MOMENTS_US[0]}.yaml"
    path.write_text(path.read_text().replace("stands.", "has stopped."))
    exported(run, tmp_path / "out")
    assert (lines(tmp_path / "out")[0]["risk"], lines(tmp_path / "out")[0]["cot"][-8:]) == (None, "stopped.")


def test_a_damaged_record_is_counted_and_left_out(run, tmp_path):
    (run / "clip-a" / f"cot_{MOMENTS_US[0]}.yaml").write_text("results: 1\n")
    result = exported(run, tmp_path / "out")
    assert (result.counts.failed, len(lines(tmp_path / "out"))) == (1, 4)


@pytest.mark.parametrize("only", [Only.ACCEPTED, Only.REVIEWED])
def test_without_reviews_nothing_can_be_chosen_by_them(run, tmp_path, only):
    with pytest.raises(CocLabelingError, match="no reviews"):
        exported(run, tmp_path / "out", only=only)


def test_risk_needs_checks(tmp_path):
    run = experiment(tmp_path, CLIPS, checked=False)
    with pytest.raises(CocLabelingError, match="coc check"):
        exported(run, tmp_path / "out", selection=Selection(max_risk=0.5))
    exported(run, tmp_path / "out")
    assert "have not been checked" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_export_again_has_the_same_bytes(run, tmp_path, format_name):
    exported(run, tmp_path / "out", format_name)
    first = contents(tmp_path / "out")
    exported(run, tmp_path / "out", format_name)
    assert contents(tmp_path / "out") == first


def test_another_export_replaces_all_of_an_earlier_one(run, tmp_path):
    exported(run, tmp_path / "out", "jsonl", "sft=1,rl=1")
    exported(run, tmp_path / "out", "csv")
    assert set(contents(tmp_path / "out")) == {
        ".export.lock",
        "README.md",
        "data/sft.csv",
        "export.json",
        "splits/sft.txt",
    }


def test_an_export_that_fails_leaves_the_earlier_one(run, tmp_path):
    exported(run, tmp_path / "out")
    first = contents(tmp_path / "out")
    with pytest.raises(CocLabelingError, match="no label is left"):
        exported(run, tmp_path / "out", selection=Selection(max_risk=0.0))
    assert contents(tmp_path / "out") == first
    assert not leftovers(tmp_path / "out")


def test_files_of_others_are_left_alone(run, tmp_path):
    with pytest.raises(CocLabelingError, match="no export"):
        exported(run, run)


def test_golden(run, tmp_path):
    exported(run, tmp_path / "out", "jsonl", "sft=1,evaluation=1")
    found = {name: content.decode() for name, content in contents(tmp_path / "out").items() if name[0] != "."}
    found["README.md"] = found["README.md"].replace(f"CoC Toolkit {version('coc-toolkit')}", "CoC Toolkit VERSION")
    found["export.json"] = re.sub(r'("README.md": )\d+', r"\1SIZE", found["export.json"])
    golden = GOLDEN / "export"
    assert found == {name: content.decode() for name, content in contents(golden).items()}


def test_drives_in_several_splits_are_found_and_avoided(tmp_path):
    clips = [f"drive_{n % 3}-{20 * (n // 3)}" for n in range(60)]
    run = experiment(tmp_path, clips, "table")
    by_clip = exported(run, tmp_path / "by_clip", splits="sft=1,rl=1", group_by=GroupBy.CLIP)
    assert by_clip.counts.leakage.leaking == {"drive_0", "drive_1", "drive_2"}
    assert "3 of 3 drives have clips in more than one split" in (tmp_path / "by_clip" / "README.md").read_text()
    by_drive = exported(run, tmp_path / "by_drive", splits="sft=1,rl=1")
    assert not by_drive.counts.leakage.leaking


def test_drives_by_dataset():
    assert Drives("comma2k19").drive_of("dongle_2018-08-02--08-34-47_40-0") == "dongle_2018-08-02--08-34-47"
    assert Drives("boreas").drive_of("boreas-2020-11-26-13-58-40") == "boreas-2020-11-26-13-58"
    assert Drives("pai").drive_of("b6700354-ab89-45ec-8b47-700000000000") is None


@given(st.text(max_size=20), st.integers(0, 9), st.lists(st.floats(0.01, 10), min_size=1, max_size=5))
def test_every_clip_has_one_split(clip, seed, shares):
    splits = Splits({f"s{n}": share / sum(shares) for n, share in enumerate(shares)}, seed)
    assert splits.split_of(clip, None) in splits.shares
    assert splits.split_of(clip, "drive") == splits.split_of("other", "drive")


def test_shares_are_kept():
    splits = Splits(parse_shares("sft=8,rl=1,evaluation=1"), 7)
    found = [splits.split_of(str(stable_hash(str(n))), None) for n in range(20_000)]
    assert [round(found.count(name) / 20_000, 2) for name in splits.shares] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


@pytest.mark.parametrize("text", ["", "a", "a=0", "a=x", "A=1", "../x=1", "a=1,a=1", "a=inf", "a=nan"])
def test_shares_that_are_none(text):
    with pytest.raises(CocLabelingError, match="--splits"):
        parse_shares(text)


def test_texts_are_no_markup():
    assert cell("a|<b>\n`x`") == r"a\|&lt;b&gt; \`x\`"


def relabelled(run, change):
    """Change rows of a run's table; their records are gone, so the table counts."""
    table = pq.read_table(run / "labels.parquet")
    rows = [row | change(row) for row in table.to_pylist()]
    for record in run.glob("*/cot_*.yaml"):
        record.unlink()
    pq.write_table(pa.Table.from_pylist(rows, table.schema), run / "labels.parquet")


@pytest.mark.parametrize("format_name", [*FORMATS, "hf", "webdataset", "sft-chat"])
@pytest.mark.parametrize("text", ["no json", "[1]", '{"components": 3}', r'{"trace": "\ud800"}'])
def test_a_label_that_is_none_costs_itself_alone(run, tmp_path, format_name, text):
    relabelled(run, lambda row: {"label": text} if row["clip_id"] == "clip-a" else {})
    content = Content(parse_components("prompt,cot"), Images.NONE)
    result = exported(run, tmp_path / "out", format_name, content=content)
    assert (result.counts.exported, result.counts.failed) == (3, 2)
    assert "clip-a 4000000 in labels.parquet: expected a label as JSON" in result.counts.problems[0]


@pytest.mark.parametrize("clip_id", ["../../etc/passwd", "a/b", "a\nb", "..", "", "=1+1"])
def test_what_cannot_be_a_clip_id_becomes_no_path_and_no_line(run, tmp_path, clip_id):
    relabelled(run, lambda row: {"clip_id": clip_id} if row["clip_id"] == "clip-a" else {})
    result = exported(run, tmp_path / "out", "webdataset", content=Content(images=Images.NONE))
    assert (result.counts.exported, result.counts.failed) == (3, 2)
    assert "cannot be a clip id" in result.counts.problems[0]
    assert set((tmp_path / "out" / "splits" / "sft.txt").read_text().split()) == {"clip-b", "clip-c"}


@pytest.mark.parametrize("text", ["a=0.5,b=0.7", "a=0.5", "sft=0.8,rl=0.1,evaluation=0.2"])
def test_shares_sum_to_one(text):
    with pytest.raises(CocLabelingError, match="sum to"):
        parse_shares(text)


def test_a_share_that_is_missing_is_named():
    with pytest.raises(CocLabelingError, match="b has no share"):
        parse_shares("a=0.5,b")


def test_a_split_far_from_its_share_is_told(tmp_path):
    run = experiment(tmp_path, ["drive-0", "drive-20", "drive-40", "other-0"], "table")
    result = exported(run, tmp_path / "out", "jsonl", "a=0.5,b=0.5", seed=seed_that_parts("drive", "other"))
    assert any("a hash shares out 2 drives that stay whole" in notice for notice in result.notices)


def seed_that_parts(*drives):
    return next(
        seed
        for seed in range(100)
        if len({Splits({"a": 0.5, "b": 0.5}, seed).split_of("", drive) for drive in drives}) == len(drives)
    )


def test_where_nothing_is_left_it_says_what_to_do(run, tmp_path):
    for record in run.glob("*/cot_*.yaml"):
        os.utime(record, ns=(1, 1))
    with pytest.raises(CocLabelingError, match="Run coc check again"):
        exported(run, tmp_path / "out", selection=Selection(max_risk=0.9))


def test_a_folder_without_labels_is_no_run(tmp_path):
    with pytest.raises(CocLabelingError, match=r"no labels.parquet in it"):
        exported(tmp_path, tmp_path / "out")


def test_a_folder_of_all_steps_names_the_run_in_it(run, tmp_path):
    shutil.copytree(run, tmp_path / "all" / "experiments" / "20261128_120000_rules")
    with pytest.raises(CocLabelingError, match=r"a folder of coc run\. .*experiments/20261128_120000_rules: give that"):
        exported(tmp_path / "all", tmp_path / "out")


def test_the_card_says_what_a_calibrated_risk_is(run, tmp_path):
    exported(run, tmp_path / "out")
    assert "A risk is a rank of doubt" in (tmp_path / "out" / "README.md").read_text()
    (run / "risk_calibration.json").write_text("{}")
    exported(run, tmp_path / "out")
    assert "A risk is the probability that a label is wrong" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("format_name", [*FORMATS, "hf", "webdataset", "sft-chat"])
def test_the_datasets_library_opens_columns_that_are_empty_at_first(tmp_path, monkeypatch, format_name):
    datasets = pytest.importorskip("datasets", reason="the library is not installed")
    run = experiment(tmp_path, [f"clip-{number:02d}" for number in range(8)], checked=False)
    splits = Splits(parse_shares("a=0.5,b=0.5"))
    empty = {"direction": None, "agent": None, "trace": None, "lateral": None, "label": None, "lateral_causes": []}
    relabelled(run, lambda row: empty if splits.split_of(row["clip_id"], None) == "a" else {"direction": "left"})
    content = Content(parse_components("prompt,cot"), Images.NONE)
    exported(run, tmp_path / "out", format_name, "a=0.5,b=0.5", content=content)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    data = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    if format_name == "reasoning-parquet":
        assert len(data["labels"]) == 8
        return
    rows = [row.get("json", row) for split in "ab" for row in data[split]]
    assert {row["direction"] for row in rows} == {None, "left"}
    assert len(rows) == 15
