import json
import re

import pytest

from builders.commands import contents
from builders.exports import MOMENTS_US, exported, filmed
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.content import Content, Recordings, parse_components, parse_times

CLIPS = ["clip-a", "clip-b", "clip-c"]
IMAGE = Content(parse_components("image,traj_history,prompt,cot"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("chat"), CLIPS, unfilmed=("clip-b",))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(row, role):
    (message,) = [message for message in row["messages"] if message["role"] == role]
    return "".join(part.get("text", "<image>") for part in message["content"])


def test_both_trainers_are_told_the_same(run, tmp_path):
    exported(run, tmp_path, "sft-chat", content=IMAGE)
    trl, llama = lines(tmp_path / "data" / "sft.jsonl"), lines(tmp_path / "llama_factory" / "sft.jsonl")
    assert len(trl) == len(llama) == 3
    for one, other in zip(trl, llama, strict=True):
        assert [said(one, m["role"]) for m in one["messages"]] == [m["content"] for m in other["messages"]]
        assert one["images"] == other["images"]
        assert other["messages"][1]["content"].count("<image>") == len(other["images"]) == 5
        assert all((tmp_path / name).read_bytes().startswith(b"\xff\xd8") for name in one["images"])
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["coc_sft"]["file_name"] == "llama_factory/sft.jsonl"
    assert info["coc_sft"]["columns"] == {"messages": "messages", "images": "images"}


def test_the_sequence_of_tokens(run, tmp_path):
    exported(run, tmp_path, "sft-chat", content=Content(parse_components("traj_history,prompt,cot,traj_future")))
    row = lines(tmp_path / "data" / "sft.jsonl")[0]
    history, number = r"<\|traj_history_start\|>(<i\d+>){48}<\|traj_history_end\|>", r"<i\d+>"
    asked = "output the chain-of-thought reasoning of the driving process, then output the future trajectory."
    assert re.fullmatch(rf"{history}{re.escape(asked)}", said(row, "user"))
    cot = re.escape(f"<|cot_start|>{row['cot']}<|cot_end|>")
    assert re.fullmatch(rf"{cot}<\|traj_future_start\|>({number}){{128}}<\|traj_future_end\|>", said(row, "assistant"))
    tokens = json.loads((tmp_path / "tokens.json").read_text())
    assert set(re.findall(number, said(row, "user") + said(row, "assistant"))) <= set(tokens["tokens"])
    assert len(tokens["tokens"]) == 4000
    assert {"<|cot_start|>", "<|traj_future_end|>"} <= set(tokens["special_tokens"])
    assert (len(row["ego_history_xyz"]), len(row["ego_future_xyz"]), "images" in row) == (16, 64, False)


def test_no_picture_is_later_than_its_keyframe(run, tmp_path):
    times = Recordings(times_sec=parse_times("-0.3,-0.2,-0.1,0"))
    exported(run, tmp_path, "sft-chat", content=IMAGE, recordings=times)
    for row in lines(tmp_path / "data" / "sft.jsonl"):
        t0 = row["event_start_timestamp"]
        assert t0 in MOMENTS_US
        assert all(t0 - 400_000 <= t <= t0 for t in row["frame_times_us"])
        assert len(row["frame_times_us"]) == 4


def test_clips_without_video_are_counted(run, tmp_path):
    result = exported(run, tmp_path / "a", "sft-chat", content=IMAGE)
    assert result.counts.left_out["no video of camera_front_wide_120fov"] == 2
    assert result.counts.failed == 0
    text_only = exported(run, tmp_path / "b", "sft-chat", content=Content(parse_components("prompt,cot")))
    assert text_only.counts.exported == 5
    assert not (tmp_path / "b" / "images").exists()


def test_labels_without_the_future_they_need_are_counted(run, tmp_path):
    (run / "clip-a").mkdir(exist_ok=True)
    result = exported(run, tmp_path, "sft-chat", recordings=Recordings(data_dir=str(run.parent / "data")))
    assert result.counts.exported == 3  # 12.6 s and 6.4 s are within 20 s


def test_meta_actions_are_told_where_they_start(run, tmp_path):
    content = Content(parse_components("prompt,meta_action"))
    exported(run, tmp_path, "sft-chat", content=content)
    row = lines(tmp_path / "data" / "sft.jsonl")[0]
    assert said(row, "user") == "output meta actions."
    assert re.fullmatch(r"<\|meta_action_start\|>longitudinal: [a-z ]+.*<\|meta_action_end\|>", said(row, "assistant"))


def test_pictures_made_otherwise_are_not_mixed(run, tmp_path):
    exported(run, tmp_path, "sft-chat", content=IMAGE)
    config = json.loads((run / "run_config.json").read_text())
    (run / "run_config.json").write_text(json.dumps(config | {"data_loader": {"video": {"jpeg_quality": 50}}}))
    before = contents(tmp_path)
    try:
        with pytest.raises(CocLabelingError, match="other settings"):
            exported(run, tmp_path, "sft-chat", content=IMAGE)
    finally:
        (run / "run_config.json").write_text(json.dumps(config))
    assert contents(tmp_path) == before


def test_another_format_in_the_same_folder_leaves_no_picture(run, tmp_path):
    exported(run, tmp_path, "sft-chat", content=IMAGE)
    exported(run, tmp_path, "jsonl")
    assert not (tmp_path / "images").exists()
    assert not (tmp_path / "llama_factory" / "sft.jsonl").exists()


def test_pictures_that_no_label_shows_any_more_go(run, tmp_path):
    exported(run, tmp_path, "sft-chat", content=IMAGE)
    before = {name for name in contents(tmp_path) if name.endswith(".jpg")}
    exported(run, tmp_path, "sft-chat", content=IMAGE, recordings=Recordings(times_sec=(0.0,)))
    after = {name for name in contents(tmp_path) if name.endswith(".jpg")}
    assert after < before
    assert len(after) == 3


@pytest.mark.parametrize("token", ["<|cot_end|>", "<i12>", "<image>", "</think>", "<tool_call>"])
def test_text_with_tokens_is_left_out(run, tmp_path, token):
    path = run / "clip-a" / f"cot_{MOMENTS_US[0]}.yaml"
    text = path.read_text()
    path.write_text(text.replace("stands.", f"stands.{token}"))
    try:
        result = exported(run, tmp_path, "sft-chat", content=Content(parse_components("prompt,cot")))
    finally:
        path.write_text(text)
    assert result.counts.left_out["text with a token of a model"] == 1


def test_damaged_video_costs_its_clip_and_is_told(tmp_path):
    run = filmed(tmp_path, ["clip-a", "clip-b"])
    video_dir = tmp_path / "videos"
    video_dir.mkdir()
    (video_dir / "clip-a.camera_front_wide_120fov.mp4").write_bytes(b"no video")
    result = exported(run, tmp_path / "out", "sft-chat", content=IMAGE, recordings=Recordings(video_dir=str(video_dir)))
    assert (result.counts.exported, result.counts.failed) == (1, 2)
    assert any("clip-a" in problem for problem in result.notices)


def test_recordings_that_nobody_knows(tmp_path):
    run = filmed(tmp_path, ["clip-a"])
    (run / "run_config.json").write_text(json.dumps({"data": {"dataset_name": "pai"}}))
    with pytest.raises(CocLabelingError, match="--data_dir"):
        exported(run, tmp_path / "out", "sft-chat", content=IMAGE)
