import json
from xml.etree import ElementTree

import pytest

from builders.exports import exported, filmed
from coc_labeling.export.content import Content, Images
from coc_labeling.export.label_studio import CONFIG, labelling_config
from coc_labeling.schema import LateralDecision, LongitudinalDecision

CLIPS = ["clip.a", "clip-b", "clip-c"]
PLAIN = Content(images=Images.NONE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("label_studio"), CLIPS)


def tasks(out, split: str = "sft") -> list[dict]:
    return json.loads((out / "data" / f"{split}.json").read_text())


def test_tasks_hold_the_label_and_predict_it(run, tmp_path):
    exported(run, tmp_path / "out", "label-studio", content=PLAIN)
    exported(run, tmp_path / "flat", "jsonl")
    flat = [json.loads(line) for line in (tmp_path / "flat" / "data" / "sft.jsonl").read_text().splitlines()]
    found = tasks(tmp_path / "out")
    assert [{name: task["data"][name] for name in row} for task, row in zip(found, flat, strict=True)] == flat
    for task in found:
        data, (prediction,) = task["data"], task["predictions"]
        assert data["images"] == []
        assert prediction["score"] == pytest.approx(1 - data["risk"])
        said = {one["from_name"]: one["value"] for one in prediction["result"]}
        assert said["longitudinal"] == {"choices": [data["longitudinal"]]}
        assert said["sentence"] == {"text": [data["label"]["effect_on_ego_behavior"]]}
        assert len(said["components"]["text"]) == len(data["label"]["components"])
        assert not {"verdict", "reason"} & set(said)


def test_pictures_are_named_as_local_files_and_lie_there(run, tmp_path):
    exported(run, tmp_path, "label-studio", content=Content(images=Images.PATHS))
    for task in tasks(tmp_path):
        data = task["data"]
        assert len(data["images"]) == len(data["cameras"]) == len(data["frame_times_us"]) == 5
        assert max(data["frame_times_us"]) <= data["event_start_timestamp"]
        for address in data["images"]:
            path = address.removeprefix("/data/local-files/?d=")
            assert (tmp_path / path).is_file()


def test_each_split_is_a_file_and_the_card_tells_of_them(run, tmp_path):
    exported(run, tmp_path, "label-studio", content=PLAIN, splits="sft=0.5,rl=0.5", group_by="clip", seed=0)
    names = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert names == ["rl.json", "sft.json"]
    assert len(tasks(tmp_path)) + len(tasks(tmp_path, "rl")) == 5
    assert all(f"data/{name}" in (tmp_path / "README.md").read_text() for name in names)
    assert CONFIG in json.loads((tmp_path / "export.json").read_text())["files"]


def test_the_configuration_asks_for_all_decisions_and_a_verdict():
    with_pictures, without = (ElementTree.fromstring(labelling_config(with_pictures=one)) for one in (True, False))
    assert (len(with_pictures.findall("Image")), len(without.findall("Image"))) == (1, 0)
    asked = {group.get("name"): [choice.get("value") for choice in group] for group in with_pictures.findall("Choices")}
    assert asked["longitudinal"] == list(LongitudinalDecision)
    assert asked["lateral"] == list(LateralDecision)
    assert asked["verdict"] == ["accept", "edit", "reject", "unsure"]
    assert {one.get("name") for one in with_pictures.findall("TextArea")} == {"sentence", "trace", "components"}


def test_label_studio_takes_tasks_and_predictions(run, tmp_path):
    sdk = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="needs Label Studio's SDK: pip install label-studio-sdk"
    )
    exported(run, tmp_path, "label-studio", content=Content(images=Images.PATHS))
    interface = sdk.LabelInterface((tmp_path / CONFIG).read_text())
    interface.validate()
    for task in tasks(tmp_path):
        assert interface.validate_task({"data": task["data"]}) is not False
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []


def test_the_datasets_library_opens_it(run, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    exported(run, tmp_path / "out", "label-studio", content=PLAIN)
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="sft", cache_dir=str(tmp_path / "cache"))
    assert [row["data"]["clip_id"] for row in loaded] == [task["data"]["clip_id"] for task in tasks(tmp_path / "out")]
