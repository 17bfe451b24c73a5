import shutil

import pytest

from builders.commands import autolabel
from builders.driving import lively_drive
from builders.golden import TRAJECTORY_TEXTS, texts
from builders.table import write_csv
from meta_action.errors import MetaActionError
from meta_action.reading import read_spans
from meta_action.timeline import to_text
from meta_action.timeline_table import TimelineTable, timelines


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    for i in range(4):
        write_csv(root / "data", f"drive{i}", lively_drive(i))
    assert autolabel(root / "data", root / "out") == 0
    return root / "out"


def write(folder, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_texts_come_back_as_they_are():
    found = {t.clip_id: to_text(t) for t in timelines(read_spans(str(TRAJECTORY_TEXTS)))}
    assert found == texts(TRAJECTORY_TEXTS)


def test_the_table_beside_the_texts_gives_the_same_as_the_texts(run, tmp_path):
    shutil.copytree(run / "final_outputs", tmp_path / "final_outputs")
    from_texts = read_spans(str(tmp_path / "final_outputs"))
    from_table = read_spans(str(run / "final_outputs"))
    assert from_table.to_pylist() == from_texts.to_pylist()
    assert read_spans(str(run)).to_pylist() == from_texts.to_pylist()


def test_the_table_is_read_and_not_the_texts(run, tmp_path):
    shutil.copytree(run, tmp_path / "out")
    for path in (tmp_path / "out" / "final_outputs").iterdir():
        path.unlink()
    assert read_spans(str(tmp_path / "out" / "final_outputs")).num_rows > 0


def test_the_table_of_another_selection_is_not_taken_for_this_folder_s(run, tmp_path):
    shutil.copytree(run, tmp_path / "out")
    write(tmp_path / "out" / "stop_post", "a.txt", "  Stop - Agent:<ego>, Start:0, End:9\n")
    assert read_spans(str(tmp_path / "out" / "stop_post")).column("clip_id").to_pylist() == ["a"]


def test_a_damaged_table_is_passed_over_for_the_texts(run, tmp_path):
    shutil.copytree(run, tmp_path / "out")
    expected = read_spans(str(run / "final_outputs")).to_pylist()
    (tmp_path / "out" / "meta_actions.parquet").write_bytes(b"PAR1 torn")
    assert read_spans(str(tmp_path / "out" / "final_outputs")).to_pylist() == expected


def test_the_timelines_of_some_clips(run):
    spans = read_spans(str(run))
    table = TimelineTable(spans)
    assert table["drive2"].clip_id == "drive2"
    assert table["drive2"] in list(timelines(spans))
    assert table.get("none") is None
    assert len(list(timelines(spans))) == 4


def test_a_missing_folder_and_an_empty_one_say_what_to_do(tmp_path):
    with pytest.raises(MetaActionError, match="nowhere: no such folder"):
        read_spans(str(tmp_path / "nowhere"))
    with pytest.raises(MetaActionError, match="run meta-action-autolabel first"):
        read_spans(str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [b"nonsense\n", b"\xff\xfe", b"  Stop - Agent:<ego>, Start:0, End:99999\n"],
    ids=["line", "bytes", "tick"],
)
def test_a_file_that_is_no_text_of_spans_is_named(tmp_path, content):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(MetaActionError, match=r"bad\.txt"):
        read_spans(str(tmp_path))


def test_a_clip_whose_text_is_empty_has_no_span(tmp_path):
    write(tmp_path, "a.txt", "")
    write(tmp_path, "b.txt", "  Stop - Agent:<ego>, Start:0, End:9\n")
    assert read_spans(str(tmp_path)).column("clip_id").to_pylist() == ["b"]
