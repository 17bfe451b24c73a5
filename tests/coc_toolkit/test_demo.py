import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from builders.coc import coc
from builders.runs import records_in, rows_of
from coc_labeling.checks.results import load_checks
from coc_labeling.records import from_yaml


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the demo; tests only read what it left."""
    out = tmp_path_factory.mktemp("demo") / "out"
    answer = coc("demo", "--out", out)
    assert answer.code == 0, answer.err
    return out, answer.out


def places(printed: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, path in re.findall(r"^(labels|report): (\S+)$", printed, flags=re.MULTILINE):
        found.setdefault(kind, []).append(path)
    return found


def test_the_demo_ends_with_where_labels_and_report_are(demo):
    _, printed = demo
    told = places(printed)
    assert len(told["labels"]) == 2
    assert all(Path(path).exists() for paths in told.values() for path in paths)
    assert printed.rstrip().splitlines()[-1].startswith("report: ")


def test_the_demo_shows_three_labels_of_the_records(demo):
    _, printed = demo
    shown = re.search(r"3 of the labels:\n(.*?)\n\n", printed, flags=re.DOTALL)[1]
    sentences = [line.strip() for line in shown.splitlines()[1::3]]
    assert len(sentences) == 3
    written = {row["sentence"] for path in places(printed)["labels"] for row in rows_of(Path(path))}
    assert set(sentences) <= written


def test_the_demo_labels_both_datasets_and_some_with_a_cause(demo):
    _, printed = demo
    for path in places(printed)["labels"]:
        rows = rows_of(Path(path))
        assert rows
        assert any(row["longitudinal_causes"] not in ([], ["unobserved"]) for row in rows)


def test_radar_gives_comma2k19_its_leads(demo):
    _, printed = demo
    (comma,) = (path for path in places(printed)["labels"] if "comma2k19" in path)
    assert any("critical_object:lead" in row["longitudinal_causes"] for row in rows_of(Path(comma)))


def test_every_record_of_the_demo_is_valid(demo):
    out, _ = demo
    records = records_in(out)
    assert len(records) > 100
    for name, content in records.items():
        from_yaml(content.decode(), name, name.split("/")[0])


def test_the_labels_of_the_demo_are_checked_in_its_report(demo):
    _, printed = demo
    for path in places(printed)["labels"]:
        assert load_checks(path).num_rows == len(rows_of(Path(path)))
    page = Path(places(printed)["report"][0]).read_text()
    assert "Riskiest labels" in page
    assert "have not been checked" not in page


def test_the_demo_s_report_is_one_page_that_needs_no_network(demo):
    _, printed = demo
    page = Path(places(printed)["report"][0]).read_text()
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag in {"script", "link", "img", "iframe", "source", "image", "use"}:
                links.extend(value or "" for name, value in attrs if name in {"src", "href", "xlink:href"})

    Links().feed(page)
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)


def test_the_demo_is_safe_to_repeat(demo):
    out, printed = demo
    before = records_in(out)
    answer = coc("demo", "--out", out)
    assert answer.code == 0
    assert records_in(out) == before
    assert places(answer.out) == places(printed)
    assert answer.out.count("(0 now") == 6
