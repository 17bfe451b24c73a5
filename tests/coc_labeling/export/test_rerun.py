import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from builders.commands import leftovers, summary
from builders.pai import FRONT
from builders.pictures import FILMED, FPS, SECONDS, UNFILMED
from builders.videos import times_of, video_bytes, write_video
from coc_labeling.errors import CocLabelingError
from coc_labeling.export import rerun_log
from coc_labeling.export.rerun import RerunRequest, export_rerun

needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec("rerun") is None, reason="needs rerun-sdk: pip install 'coc-toolkit[rerun]'"
)


def export(place, out: Path, **changes):
    return export_rerun(RerunRequest(str(place.run_dir), str(out), num_workers=1, **changes))


def reasons(result) -> dict[str, list[str]]:
    return {r: sorted(items) for reasons in result.tally.by_reason.values() for r, items in reasons.items()}


def stats(path: Path) -> dict[str, int]:
    """Return how many rows each entity of a recording has, as the SDK's own reader counts them."""
    reader = pytest.importorskip("rerun.chunk", reason="reading recordings back needs rerun-sdk 0.41 or later")
    rows: dict[str, int] = {}
    for chunk in reader.RrdReader(str(path)).stream().to_chunks():
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    return rows


def test_a_missing_sdk_is_answered_with_the_command_that_installs_it(place, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(CocLabelingError, match=r"pip install 'coc-toolkit\[rerun\]'"):
        export(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_the_sdk_itself_lacks_is_named(place, tmp_path, monkeypatch):
    def lacking(name):
        raise ImportError("No module named 'psutil'")

    monkeypatch.setattr(rerun_log.importlib, "import_module", lacking)
    with pytest.raises(CocLabelingError, match=r"rerun-sdk.*\(No module named 'psutil'\)"):
        export(place, tmp_path / "out")


@needs_sdk
def test_a_recording_of_each_clip(place, tmp_path):
    result = export(place, tmp_path)
    assert reasons(result) == {"with_video": [FILMED], "without_video": [UNFILMED]}
    assert leftovers(tmp_path) == []
    assert summary(tmp_path)["counts"]["done"] == 2


@needs_sdk
def test_what_is_in_a_recording(place, tmp_path):
    export(place, tmp_path)
    rows = stats(tmp_path / f"{FILMED}.rrd")
    ticks = 91
    for entity in ("/world/ego", "/world/road_users"):
        assert rows[entity] == ticks
    for entity in ("/speed", "/heading"):
        assert rows[entity] == ticks + 1  # and how it is drawn
    assert rows["/camera/camera_front_wide_120fov"] == 90 + 1  # frames, and the video
    assert rows["/meta_actions/longitudinal"] >= 2
    assert rows["/labels"] >= 1
    assert not any(name.startswith("/camera") for name in stats(tmp_path / f"{UNFILMED}.rrd"))


@needs_sdk
@pytest.mark.parametrize("options", [{"b_frames": 2}, {"form": "matroska"}], ids=["reordered", "encoded anew"])
def test_video_of_other_kinds(place, tmp_path, options):
    frames = round(SECONDS * FPS)
    content = video_bytes(frames, fps=FPS, gop=FPS, size=(96, 54), **options)
    write_video(tmp_path / "video", content, times_of(frames, FPS), f"{UNFILMED}.{FRONT}.mp4")
    result = export(place, tmp_path / "out", video_dir=str(tmp_path / "video"))
    assert reasons(result) == {"with_video": [FILMED, UNFILMED]}
    assert stats(tmp_path / "out" / f"{UNFILMED}.rrd")[f"/camera/{FRONT}"] == frames + 1


@needs_sdk
def test_finished_recordings_are_left_alone(place, tmp_path):
    export(place, tmp_path)
    assert reasons(export(place, tmp_path)) == {"already_done": [FILMED, UNFILMED]}


@needs_sdk
def test_unknown_clips_are_named(place, tmp_path):
    (tmp_path / "list.txt").write_text(f"{UNFILMED}\nnobody\n")
    result = export(place, tmp_path / "out", clip_list_path=str(tmp_path / "list.txt"))
    assert reasons(result) == {"without_video": [UNFILMED], "unknown_id": ["nobody"]}


@needs_sdk
def test_a_moved_dataset_is_said_where_it_is(place, tmp_path):
    with pytest.raises(Exception, match="nowhere"):
        export(place, tmp_path / "a", data_dir="/nowhere")
    (tmp_path / "moved").symlink_to(place.data)
    assert export(place, tmp_path / "b", data_dir=str(tmp_path / "moved")).tally.count("done") == 2


def test_the_command_is_there():
    code = "from coc_toolkit.cli import main; main()"
    shown = subprocess.run([sys.executable, "-c", code, "export-rerun", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "Rerun viewer" in shown.stdout
