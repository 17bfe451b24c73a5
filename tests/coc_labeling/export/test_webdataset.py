import json
import tarfile

import pytest

from builders.commands import contents
from builders.exports import exported, filmed
from coc_labeling.export import webdataset
from coc_labeling.export.content import Content, Images

CLIPS = ["clip.a", "clip-b", "clip-c"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("webdataset"), CLIPS)


def members(out) -> dict[str, bytes]:
    found = {}
    for path in sorted((out / "data").glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {entry.name: tar.extractfile(entry).read() for entry in tar}
    return found


def test_labels_and_pictures_read_back(run, tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "SHARD_ROWS", 2)
    exported(run, tmp_path / "tar", "webdataset")
    exported(run, tmp_path / "flat", "jsonl")
    exported(run, tmp_path / "paths", "hf", content=Content(images=Images.PATHS))
    found, flat = members(tmp_path / "tar"), (tmp_path / "flat" / "data" / "sft.jsonl").read_text().splitlines()
    assert len(list((tmp_path / "tar" / "data").iterdir())) == 3
    assert len(found) == 5 * (1 + 5)
    for line in flat:
        row = json.loads(line)
        key = f"{row['clip_id'].replace('.', '%2E')}_{row['event_start_timestamp']}"
        told = json.loads(found[f"{key}.json"])
        assert {name: told[name] for name in row} == row
        for number, (camera, t_us) in enumerate(zip(told["cameras"], told["frame_times_us"], strict=True)):
            picture = tmp_path / "paths" / "images" / row["clip_id"] / f"{camera}_{t_us}.jpg"
            assert found[f"{key}.{number:03d}.jpg"] == picture.read_bytes()
    assert not [name for name in contents(tmp_path / "tar") if name.startswith(".images")]


def test_the_datasets_library_opens_it(run, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    exported(run, tmp_path / "out", "webdataset")
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="sft", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 5
    row = loaded[0]
    assert row["000.jpg"].size == (96, 54)
    assert row["json"]["clip_id"] in CLIPS


def test_without_pictures(run, tmp_path):
    exported(run, tmp_path, "webdataset", content=Content(images=Images.NONE))
    assert all(name.endswith(".json") for name in members(tmp_path))
