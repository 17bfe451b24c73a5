import io
import json

import pyarrow.parquet as pq
import pytest

from builders.commands import contents
from builders.exports import exported, filmed
from coc_labeling.export import hf
from coc_labeling.export.content import Content, Images
from coc_labeling.export.rows import COLUMNS

CLIPS = [f"clip-{n:02d}" for n in range(8)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("hf"), CLIPS)


def flat(run, tmp_path, splits):
    """The same labels in another format, by split."""
    exported(run, tmp_path, "jsonl", splits)
    files = sorted((tmp_path / "data").iterdir())
    return {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in files}


def test_it_reads_back_equal_with_pyarrow(run, tmp_path):
    exported(run, tmp_path / "hf", "hf", content=Content(images=Images.NONE))
    rows = pq.read_table(tmp_path / "hf" / "data" / "sft-00000-of-00001.parquet").to_pylist()
    expected = flat(run, tmp_path / "flat", "sft=1")["sft"]
    assert rows == expected
    assert tuple(rows[0]) == COLUMNS


@pytest.mark.parametrize("images", Images)
def test_the_datasets_library_opens_it(run, tmp_path, images, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    monkeypatch.setattr(hf, "FILE_ROWS", 4)
    monkeypatch.setattr(hf, "GROUP_ROWS", 2)
    out = tmp_path / "out"
    exported(run, out, "hf", "sft=1,evaluation=1", content=Content(images=images))
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    expected = flat(run, tmp_path / "flat", "sft=1,evaluation=1")
    assert set(loaded) == set(expected) == {"sft", "evaluation"}
    assert len(list((out / "data").glob("sft-0000?-of-00003.parquet"))) == 3
    for split, rows in expected.items():
        found = (
            loaded[split].to_list()
            if images is Images.NONE
            else loaded[split].remove_columns(["images", "cameras", "frame_times_us"]).to_list()
        )
        assert found == rows
    if images is Images.BYTES:
        assert loaded["sft"].features["images"] == datasets.List(datasets.Image())
        (picture, *_), size = loaded["sft"][0]["images"], (96, 54)
        assert picture.size == size
    if images is Images.PATHS:
        assert all((out / name).exists() for row in loaded["sft"] for name in row["images"])


def test_pictures_are_those_of_the_chat_format(run, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs pillow: pip install 'coc-toolkit[vlm]'")
    exported(run, tmp_path / "hf", "hf")
    exported(run, tmp_path / "paths", "hf", content=Content(images=Images.PATHS))
    tables = [
        pq.read_table(path / "data" / "sft-00000-of-00001.parquet") for path in (tmp_path / "hf", tmp_path / "paths")
    ]
    for row, other in zip(tables[0].to_pylist(), tables[1].to_pylist(), strict=True):
        for held, name in zip(row["images"], other["images"], strict=True):
            assert held["bytes"] == (tmp_path / "paths" / name).read_bytes()
            assert f"images/{held['path']}" == name
            assert image.open(io.BytesIO(held["bytes"])).size == (96, 54)
    assert not [name for name in contents(tmp_path / "hf") if name.startswith((".images", "images"))]


def test_the_card_names_files_by_split(run, tmp_path):
    exported(run, tmp_path, "hf", "sft=1,evaluation=1", content=Content(images=Images.NONE))
    card = (tmp_path / "README.md").read_text()
    assert "path: data/sft-*.parquet" in card
    assert "path: data/evaluation-*.parquet" in card
