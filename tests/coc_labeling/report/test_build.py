import json
import re
import shutil
from pathlib import Path

import pytest

from builders.pages import Page, report, svg
from coc_labeling.errors import CocLabelingError
from coc_labeling.report import build_report

MAX_FIGURE_BYTES = 120_000


@pytest.fixture(scope="session")
def comma_page(comma, tmp_path_factory):
    return report(tmp_path_factory.mktemp("comma_page"), comma.experiment)


@pytest.fixture(scope="session")
def traffic_page(traffic, tmp_path_factory):
    return report(tmp_path_factory.mktemp("traffic_page"), traffic.experiment)


def test_is_one_file_that_asks_for_nothing(comma_page):
    assert all(link.startswith(("data:", "#")) for link in comma_page.links)
    assert "default-src 'none'" in comma_page.policy
    assert "unsafe-eval" not in comma_page.policy
    assert "script-src" not in comma_page.policy
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(comma_page.tags)
    for figure in map(svg, comma_page.figures):
        assert not re.search(r"href=\"(?!#)|url\((?!#)|<script|<image", figure)


def test_anchors_lead_to_sections(comma, tmp_path):
    path = build_report([str(comma.experiment)], str(tmp_path / "r.html"), sample=1)
    content = Path(path).read_text()
    anchors = [link[1:] for link in Page(content).links if link.startswith("#")]
    assert anchors == ["runs", "problems", "meta-actions", "decisions", "checks", "judge", "cost", "clips"]
    assert all(f'id="{anchor}"' in content for anchor in anchors)


def test_default_path_lies_in_the_first_run(comma, tmp_path):
    shutil.copytree(comma.experiment, tmp_path / "run")
    assert build_report([str(tmp_path / "run")], sample=0) == str(tmp_path / "run" / "report.html")
    assert [p.name for p in (tmp_path / "run").iterdir() if p.name.endswith(".tmp")] == []


def test_counts_failures_and_the_sample(comma_page):
    text = " ".join(comma_page.text.split())
    assert "3 clips done 0 clips rejected 0 clips failed 9 keyframes 3 labels" in text
    assert "5 keyframes failed 67 % with an observed cause" in text
    assert "server refused" in text
    assert "2 more; all of them in" in text
    assert "follow lead" in text
    assert "Only a sentence, as released." in text
    assert len(comma_page.figures) == 6


def test_abstentions_say_why(comma_page):
    text = " ".join(comma_page.text.split())
    assert "abstained no decision" in text
    assert text.count("nothing that taxonomy 1 names") == 2  # among the problems, and with its clip


def test_figures_show_speed_spans_keyframes_and_the_cited_track(comma_page):
    figures = [svg(uri) for uri in comma_page.figures]
    assert all("speed" in f or "ahead of the start" in f for f in figures)
    timeline, above = figures[0], figures[1]
    for word in ("(m/s)", "(m/s²)", "(°/s)", "longitudinal", "lateral", "time in the clip (s)"):
        assert word in timeline
    assert "right of the start (m)" in above
    assert any("#b3003c" in figure for figure in figures)  # the colour of a cited track
    assert all(len(uri) < MAX_FIGURE_BYTES for uri in comma_page.figures)


def test_what_emerged_later_is_shown_apart_from_causes(comma_page):
    text = " ".join(comma_page.text.split())
    assert "only later road event: later " in text


def test_hostile_texts_are_shown_as_text(traffic_page):
    page = traffic_page
    assert "script" not in page.tags
    assert page.handlers == []
    assert page.tags.count("img") == len(page.figures) == 2
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_dense_traffic_stays_small(traffic_page):
    assert all(len(uri) < MAX_FIGURE_BYTES for uri in traffic_page.figures)


def test_moved_data_is_stated(comma, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(comma.experiment, run)
    summary = json.loads((run / "run_summary.json").read_text())
    summary["config"]["data"] |= {"data_dir": "/gone/data", "meta_action_dir": "/gone/final_outputs"}
    (run / "run_summary.json").write_text(json.dumps(summary))
    page = report(tmp_path, run)
    assert "/gone/data: no such folder" in page.text
    assert "/gone/final_outputs: no such folder" in page.text
    assert "sentence plain" in page.text
    assert "Meta-actions" not in [line.strip() for line in page.text.splitlines()]


def test_unreadable_recordings_are_stated(comma, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(comma.data, data)
    shutil.copytree(comma.experiment, run)
    for path in data.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    summary = json.loads((run / "run_summary.json").read_text())
    summary["config"]["data"]["data_dir"] = str(data)
    (run / "run_summary.json").write_text(json.dumps(summary))
    page = report(tmp_path, run)
    assert page.text.count("No motion to show: ") == 3
    assert len(page.figures) == 3  # meta-actions and keyframes are still there
    assert "sentence plain" in page.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"ids": 3, "config": []}', b'{"ids": {"failed": {"x": null}}}']
)
def test_damaged_files_are_stated(comma, tmp_path, content):
    run = tmp_path / "run"
    shutil.copytree(comma.experiment, run)
    (run / "run_summary.json").write_bytes(content)
    next(run.glob("*/cot_*.yaml")).write_bytes(content)
    assert "cannot be read" in report(tmp_path, run, sample=1).text
    (run / "labels.parquet").write_bytes(content)
    assert "labels.parquet: cannot be read" in report(tmp_path, run, sample=0).text


def test_step_1_alone(comma, tmp_path):
    page = report(tmp_path, comma.meta_actions)
    assert "no labels: a run of Step 1" in page.text
    assert not {"Decisions", "Checks", "Judge", "Cost"} & {line.strip() for line in page.text.splitlines()}
    assert len(page.figures) == 6


def test_several_runs_together(comma, traffic, tmp_path):
    page = report(tmp_path, comma.experiment, traffic.experiment, comma.meta_actions, sample=1)
    text = " ".join(page.text.split())
    assert "4 clips done 0 clips rejected 1 clips failed" in text  # comma's clips are counted once
    assert "counted once in the totals" in text
    for name in ("comma2k19 · 20260101_000000_comma", "pai · 20260102_000000_traffic"):
        assert name in page.text
    assert text.count("clips, chosen to differ") == 1
    assert "3 clips, chosen to differ" in text  # one of each


def test_unmerged_shards_are_read_and_named(comma, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(comma.experiment, run)
    for name in ("labels.parquet", "run_summary.json"):
        stem, ending = name.split(".")
        (run / name).rename(run / f"{stem}.shard-1-of-3.{ending}")
    page = report(tmp_path, run)
    assert "1 of 3 were read for labels.parquet, missing: 0, 2." in page.text
    assert "sentence plain" in page.text


def test_run_that_has_just_begun(tmp_path):
    (tmp_path / "run" / ".journal").mkdir(parents=True)
    assert "no labels.parquet yet" in report(tmp_path, tmp_path / "run").text


@pytest.mark.parametrize("runs", [[], "one/path"])
def test_no_folder_is_an_error(runs):
    with pytest.raises(CocLabelingError, match="no run folder given"):
        build_report(runs)


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(CocLabelingError, match="no such folder"):
        build_report([str(tmp_path / "nothing")])
    with pytest.raises(CocLabelingError, match=r"neither labels\.parquet nor meta_actions\.parquet"):
        build_report([str(tmp_path)])


def test_a_page_that_cannot_be_written_is_an_error(comma, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CocLabelingError, match="cannot be written"):
        build_report([str(comma.experiment)], str(tmp_path / "file" / "report.html"), sample=0)
