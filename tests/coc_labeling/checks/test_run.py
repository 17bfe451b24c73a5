import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_runs.shards import Shard
from builders.commands import contents, leftovers
from builders.driving import drive, lively_drive
from builders.pai import obstacle_columns, parquet
from builders.runs import only_run
from builders.table import write_csv
from coc_labeling.checks import finished, work
from coc_labeling.checks.merging import merge_checks
from coc_labeling.checks.results import CHECK_SUMMARY, CHECKS_TABLE, load_checks
from coc_labeling.checks.run import check_run
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import LABELS, load_labels
from driving_clips.errors import DatasetError


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory) -> Path:
    """An experiment of the rules; tests only read it."""
    out = tmp_path_factory.mktemp("labelled")
    assert inputs.label(out) == 0
    return only_run(out)


@pytest.fixture
def run(labelled, tmp_path) -> Path:
    """A copy of it, its times kept."""
    return Path(shutil.copytree(labelled, tmp_path / "run"))


def summary(run: Path, suffix: str = "") -> dict:
    return json.loads((run / CHECK_SUMMARY.replace(".json", f"{suffix}.json")).read_text())


def rows(run: Path) -> list[dict]:
    return sorted(load_checks(str(run)).to_pylist(), key=lambda row: (row["clip_id"], row["event_start_timestamp"]))


def moments(table: pa.Table) -> list[tuple]:
    return sorted(zip(*(table.column(name).to_pylist() for name in ("clip_id", "event_start_timestamp")), strict=True))


def test_each_label_has_a_row_and_a_file_and_labels_stay_as_they_are(run):
    before = contents(run)
    checked = check_run(str(run), num_workers=1)
    assert moments(load_checks(str(run))) == moments(load_labels(str(run)))
    after = contents(run)
    assert {name: after[name] for name in before} == before
    for row in rows(run):
        kept = json.loads((run / row["clip_id"] / f"checks_{row['event_start_timestamp']}.json").read_text())
        assert (kept["risk"], kept["status"]) == (row["risk"], row["status"])
        assert len(kept["findings"]) == sum(row[v] for v in ("supported", "contradicted", "not_observable"))
    assert leftovers(run) == []
    assert checked.tally.exit_code(strict=False) == 0


def test_what_rules_say_of_their_own_facts_is_never_independent(run):
    check_run(str(run), num_workers=1)
    findings = [finding for row in rows(run) for finding in row["findings"] if finding["check"] in ("speed", "stop")]
    assert findings
    assert all(finding["not_independent"] for finding in findings)
    figures = summary(run)["checks"]["speed"]
    assert figures["supported"] > 0
    assert (figures["independent"]["supported"], figures["precision"]) == (0, None)


def test_checking_again_gives_the_same_rows(run):
    check_run(str(run), num_workers=1)
    first = rows(run)
    check_run(str(run), num_workers=2)
    assert rows(run) == first


def test_the_summary_adds_up(run):
    checked = check_run(str(run), num_workers=1)
    told = summary(run)
    assert sum(told["status"].values()) == sum(told["risk_histogram"].values()) == len(rows(run))
    assert told["counts"]["done"] == checked.tally.count("done")


def test_shards_together_are_the_whole(run, tmp_path):
    check_run(str(run), num_workers=1)
    whole, told = rows(run), summary(run)
    for name in (CHECKS_TABLE, CHECK_SUMMARY):
        (run / name).unlink()
    for index in range(2):
        check_run(str(run), shard=Shard(index, 2), num_workers=1)
    assert rows(run) == whole
    assert merge_checks([str(run)], str(tmp_path / "run"))[1] == []
    assert rows(run) == whole
    merged = summary(run)
    assert [merged[k] for k in ("counts", "status", "risk_histogram")] == [
        told[k] for k in ("counts", "status", "risk_histogram")
    ]
    assert merged["checks"] == told["checks"] | {k: merged["checks"][k] for k in merged["checks"]}


def test_a_shard_that_is_checked_later_takes_the_place_of_the_whole(run):
    check_run(str(run), num_workers=1)
    path = next(run.rglob("cot_*.yaml"))
    path.write_text(path.read_text() + "\n")
    for index in range(2):
        check_run(str(run), shard=Shard(index, 2), num_workers=1)
        assert not (run / CHECKS_TABLE).exists()
        assert not (run / CHECK_SUMMARY).exists()
    sizes = {(row["clip_id"], row["event_start_timestamp"]): row["file_size"] for row in rows(run)}
    assert len(sizes) == load_labels(str(run)).num_rows
    assert path.stat().st_size in sizes.values()


def test_a_missing_shard_is_named(run):
    check_run(str(run), shard=Shard(1, 3), num_workers=1)
    assert merge_checks([str(run)], str(run))[1] == [0, 2]


def test_tables_without_whole_labels_send_to_the_records(run):
    check_run(str(run), num_workers=1)
    whole = rows(run)
    table = pq.read_table(run / LABELS).drop_columns(["label", "told_facts", "unlisted"])
    pq.write_table(table, run / LABELS)
    check_run(str(run), num_workers=1)
    assert rows(run) == whole


def resumed(run: Path, **changes) -> bool:
    """Check again, and say whether earlier checks were taken over."""
    checked = check_run(str(run), changes, num_workers=1, resume=True)
    assert checked.tally.exit_code(strict=False) == 0
    return checked.tally.fresh == 0


def test_checks_are_taken_over_while_nothing_has_changed(run):
    assert not resumed(run)
    before, told = contents(run), summary(run)
    checked = check_run(str(run), num_workers=1, resume=True)
    assert contents(run) == before
    assert {k: checked.tally.count(k) for k in told["counts"]} == told["counts"]
    assert dict(checked.totals.status) == told["status"]
    assert checked.tally.fresh == 0
    assert check_run(str(run), num_workers=1).tally.fresh == told["counts"]["done"]


@pytest.mark.parametrize("change", ["record", "table", "summary", "checks", "version", "meta-actions", "motion"])
def test_checks_are_made_again_where_something_has_changed(run, inputs, tmp_path, change, monkeypatch):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    texts = Path(shutil.copytree(inputs.root / "meta_actions", tmp_path / "meta_actions")) / "final_outputs"
    places = {"data.data_dir": str(data), "data.meta_action_dir": str(texts)}
    assert not resumed(run, **places)
    assert resumed(run, **places)
    if change == "record":
        path = next(run.rglob("cot_*.yaml"))
        path.write_text(path.read_text() + "\n")
    elif change in ("table", "summary"):
        (run / (CHECKS_TABLE if change == "table" else CHECK_SUMMARY)).write_text("{")
    elif change == "checks":
        monkeypatch.setattr(finished, "all_checks", list)
    elif change == "version":
        monkeypatch.setattr(finished, "CHECKS_VERSION", 0)
    elif change == "meta-actions":
        table = pq.read_table(texts.parent / "meta_actions.parquet")
        pq.write_table(table.slice(1), texts.parent / "meta_actions.parquet")
    else:
        (data / "clip_1.csv").write_text((data / "clip_1.csv").read_text() + "\n")
    assert not resumed(run, **places)


def test_failures_are_tried_again(run, inputs, tmp_path):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    (data / "clip_2.csv").unlink()
    for _ in range(2):
        checked = check_run(str(run), {"data.data_dir": str(data)}, num_workers=1, resume=True)
        assert checked.tally.exit_code(strict=False) == 1
        assert checked.tally.fresh > 0


def test_a_record_that_was_changed_since_is_read_anew(run):
    path = next(run.rglob("cot_*.yaml"))
    text = path.read_text()
    sentence = next(line for line in text.splitlines() if "effect_on_ego_behavior" in line).split(": ", 1)[1]
    path.write_text(text.replace(sentence, "Reverse into the parking space."))
    check_run(str(run), num_workers=1)
    row = next(
        r
        for r in rows(run)
        if (r["clip_id"], f"cot_{r['event_start_timestamp']}.yaml") == (path.parent.name, path.name)
    )
    assert row["file_size"] == path.stat().st_size
    assert any("backwards" in reason for reason in row["reasons"])


def test_a_record_that_was_damaged_since_is_unreadable_and_its_own_stamp_is_kept(run):
    path = next(run.rglob("cot_*.yaml"))
    path.write_text("results: [")
    checked = check_run(str(run), num_workers=1)
    (row,) = (row for row in rows(run) if row["status"] == "unreadable")
    assert row["file_size"] == path.stat().st_size
    assert row["reasons"][0].startswith(f"not checked: {path}: expected YAML")
    assert checked.tally.lines("labels")[-1].count(path.name) == 1


def test_a_clip_that_cannot_be_read_costs_its_own_labels(run, inputs, tmp_path):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    (data / "clip_1.csv").write_text("timestamp_us,x\nno,numbers\n")
    (data / "clip_2.csv").unlink()
    checked = check_run(str(run), {"data.data_dir": str(data)}, num_workers=1)
    status = {row["clip_id"]: row["status"] for row in rows(run)}
    assert (status["clip_1"], status["clip_2"]) == ("unverified", "unverified")
    assert {row["status"] for row in rows(run) if row["clip_id"] in ("clip_0", "clip_3")} <= {
        "low",
        "medium",
        "high",
        "abstained",
    }
    assert checked.tally.exit_code(strict=False) == 1
    assert "unknown_clip" in checked.tally.by_reason["failed"]
    assert len(rows(run)) == load_labels(str(run)).num_rows


def test_a_check_that_crashes_costs_one_label(run, monkeypatch):
    def crash(self, clip, own):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(work.Checker, "check", crash)
    checked = check_run(str(run), num_workers=1)
    assert {row["status"] for row in rows(run)} == {"unverified"}
    assert "ZeroDivisionError: oh" in rows(run)[0]["reasons"][0]
    assert checked.tally.exit_code(strict=False) == 2


def test_a_clip_too_short_is_rejected_and_no_failure(run, inputs, tmp_path):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    write_csv(data, "clip_1", drive(0.5))
    checked = check_run(str(run), {"data.data_dir": str(data)}, num_workers=1)
    assert set(checked.tally.by_reason["rejected"]) >= {"too_short"}
    assert (checked.tally.exit_code(strict=False), checked.tally.exit_code(strict=True)) == (0, 1)


FLAT = """
event_start_frame: {frame}
event_start_timestamp: {t_us}
coc_prompt_version: other
final_content: {{ego_behavior_schema: {{effect_on_ego_behavior: {sentence}}}}}
"""


@pytest.fixture
def foreign(inputs, tmp_path) -> Path:
    """Records of another tool, without a table and without a configuration."""
    sentences = ["Stop behind the lead vehicle.", "null", "Turn left at the junction."]
    for number, sentence in enumerate(sentences):
        path = tmp_path / "foreign" / f"clip_{number}" / "cot_8000000.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(FLAT.format(frame=80, t_us=8_000_000, sentence=sentence))
    (tmp_path / "foreign" / "clip_3").mkdir()
    (tmp_path / "foreign" / "clip_3" / "cot_8000000.yaml").write_text("final_content: [")
    return tmp_path / "foreign"


def test_flat_records_of_another_tool_are_read_from_their_sentences(foreign, inputs):
    changes = {"data.data_dir": str(inputs.data_dir), "data.dataset_name": "table"}
    checked = check_run(str(foreign), changes, num_workers=1)
    status = {row["clip_id"]: row["status"] for row in rows(foreign)}
    assert status["clip_1"] == "abstained"
    assert status["clip_0"] in ("low", "medium", "high")
    found = [f for row in rows(foreign) for f in row["findings"]]
    assert all(f["not_independent"] for f in found if f["check"] in ("speed", "stop", "direction", "turn", "timing"))
    assert not any(f["not_independent"] for f in found if f["check"] in ("lead", "readable", "coverage"))
    assert list(checked.tally.by_reason["failed"]["bad_record"]) == ["clip_3/cot_8000000.yaml"]
    assert checked.notices  # no meta-actions


def test_a_record_that_cannot_be_read_has_a_row_that_says_so(foreign, inputs):
    (foreign / "clip_3" / "cot_last.yaml").write_text("final_content: [")
    changes = {"data.data_dir": str(inputs.data_dir), "data.dataset_name": "table"}
    checked = check_run(str(foreign), changes, num_workers=1)
    row = next(row for row in rows(foreign) if row["clip_id"] == "clip_3")
    path = foreign / "clip_3" / "cot_8000000.yaml"
    assert (row["event_start_timestamp"], row["status"]) == (8_000_000, "unreadable")
    assert row["file_size"] == path.stat().st_size
    assert row["reasons"][0].startswith(f"{path}: expected YAML")
    assert json.loads((foreign / "clip_3" / "checks_8000000.json").read_text())["status"] == "unreadable"
    assert summary(foreign)["status"]["unreadable"] == 1
    assert len(rows(foreign)) == 4
    said = checked.tally.lines("labels", limit=1)
    assert said[-2].count("cot_8000000.yaml") == 1
    assert said[-1].endswith(f"... and 1 more, all in {foreign}/{CHECK_SUMMARY}")


def test_a_flat_record_needs_no_more_than_its_file_s_name(foreign, inputs):
    path = foreign / "clip_2" / "cot_8000000.yaml"
    path.write_text("final_content: {ego_behavior_schema: {effect_on_ego_behavior: Turn left at the junction.}}")
    changes = {"data.data_dir": str(inputs.data_dir), "data.dataset_name": "table"}
    check_run(str(foreign), changes, num_workers=1)
    row = next(row for row in rows(foreign) if row["clip_id"] == "clip_2")
    assert row["status"] not in ("unreadable", "unverified")
    assert row["event_start_timestamp"] == 8_000_000


def test_a_folder_that_does_not_say_where_its_drives_are_asks_for_them(foreign):
    with pytest.raises(CocLabelingError, match=r"data\.data_dir=\.\.\."):
        check_run(str(foreign))
    with pytest.raises(CocLabelingError, match="unknown configuration key"):
        check_run(str(foreign), {"data.dir": "x"})


def test_a_folder_without_labels_is_refused(tmp_path, inputs):
    with pytest.raises(CocLabelingError, match="no such folder"):
        check_run(str(tmp_path / "none"))
    with pytest.raises(CocLabelingError, match="found neither"):
        check_run(str(tmp_path), {"data.data_dir": str(inputs.data_dir), "data.dataset_name": "table"})


def test_unchecked_labels_have_no_checks_to_load(labelled):
    with pytest.raises(CocLabelingError, match="coc check"):
        load_checks(str(labelled))


def test_two_runs_at_once_are_refused(run):
    from driving_clips import files

    with files.exclusive(str(run / ".checks.lock")), pytest.raises(DatasetError, match="another run"):
        check_run(str(run), num_workers=1)


def test_an_interrupted_run_keeps_the_earlier_table(run, monkeypatch):
    check_run(str(run), num_workers=1)
    before = (run / CHECKS_TABLE).read_bytes()

    def interrupt(self, task):
        raise KeyboardInterrupt

    monkeypatch.setattr(work.GroupChecker, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check_run(str(run), num_workers=1)
    assert (run / CHECKS_TABLE).read_bytes() == before
    assert leftovers(run) == []


def test_what_is_wrong_with_tracks_stands_in_rows_and_summary(run, inputs, tmp_path):
    data = Path(shutil.copytree(inputs.data_dir, tmp_path / "data"))
    d = lively_drive(1)
    inside = obstacle_columns(d.t_us, [(0.5, 0.0, 0.8)] * len(d), [0.0] * len(d), track="ego")
    (data / "clip_1.obstacles.parquet").write_bytes(parquet(inside))
    checked = check_run(str(run), {"data.data_dir": str(data)}, num_workers=1)
    said = {row["clip_id"]: row["track_problems"] for row in rows(run)}
    assert "stand where ego is" in said["clip_1"][0]
    assert said["clip_2"] == []
    assert list(summary(run)["track_problems"]) == ["clip_1"]
    assert checked.tally.count("failed") == 0
