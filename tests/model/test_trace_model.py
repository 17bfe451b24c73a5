"""A run of Step 3 with the tiny checkpoint: its words are random, so that what comes of it is mostly abstentions."""

from alpamayo_r1.scenes import MODEL_CAMERAS
from alpamayo_r1.trace_model import AlpamayoWrapper
from builders.model_runs import in_this_process
from builders.reasoning_scenes import FPS, FRAMES, SIZE
from builders.runs import only_run, prepare, records_in, write_keyframes
from builders.videos import times_of, video_bytes, write_video
from coc_labeling.checks.run import check_run
from coc_labeling.data_labeling import main
from coc_labeling.model_clients.vlm_wrappers import MODEL_WRAPPER_REGISTRY
from coc_labeling.records import from_yaml
from coc_labeling.report import build_report
from golden_model import GOLDEN, needs_golden

pytestmark = needs_golden
MOMENTS = [("clip_0", 60), ("clip_0", 100), ("clip_1", 80)]


def test_a_run_of_step_3_with_the_tiny_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "alpamayo_r1", AlpamayoWrapper)
    inputs = prepare(tmp_path / "in", 2)
    content = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE)
    for clip in ("clip_0", "clip_1"):
        for camera in MODEL_CAMERAS:
            write_video(inputs.data_dir, content, times_of(FRAMES, float(FPS)), f"{clip}.{camera}.mp4")
    settings = {
        "model_name": "alpamayo_r1",
        "model_path": str(GOLDEN / "checkpoint"),
        "data__segment_config_path": str(write_keyframes(tmp_path / "moments.json", {"stop": MOMENTS})),
        "vlm_agent__max_tokens": 16,
    }
    with in_this_process():
        assert main(inputs.overrides(tmp_path / "out", **settings)) == 0
    run = only_run(tmp_path / "out")
    found = {name: from_yaml(text.decode(), name, name.split("/")[0]) for name, text in records_in(run).items()}
    assert len(found) == len(MOMENTS)
    for record in found.values():
        assert record.provenance.model == "alpamayo_r1"
        assert record.provenance.model_id == "checkpoint"
        assert record.calls[0].max_tokens == 16
        abstention = record.label.abstention
        assert abstention is None or abstention.reason in (
            "truncated_answer",
            "empty_answer",
            "garbled_answer",
            "no_decision",
        )
    assert sum(check_run(str(run), {}, num_workers=1).tally.count(outcome) for outcome in ("done", "rejected")) == 3
    assert build_report([str(run)], None, 2)
