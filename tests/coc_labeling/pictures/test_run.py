import json
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from builders.commands import contents, leftovers
from builders.pictures import FILMED, HEIGHT, SECONDS, UNFILMED, Place
from builders.videos import number_of
from coc_labeling.checks.results import checks_path, to_json
from coc_labeling.errors import CocLabelingError
from coc_labeling.pictures import plan
from coc_labeling.pictures.layout import Layout
from coc_labeling.results import load_labels
from driving_clips.errors import DatasetError

SCENE = Layout(HEIGHT).scene


def frames_of(path) -> list[tuple[float, np.ndarray]]:
    """Return (time in s, RGB) of a video's frames."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def reasons(result) -> dict[str, list[str]]:
    return {r: sorted(items) for reasons in result.tally.by_reason.values() for r, items in reasons.items()}


def test_a_video_of_each_clip(elsewhere):
    result = elsewhere.render(labels=str(elsewhere.run_dir))
    assert reasons(result) == {"camera": [FILMED], "schematic": [UNFILMED]}
    assert result.tally.exit_code(strict=False) == 0
    for clip_id in (FILMED, UNFILMED):
        frames = frames_of(elsewhere.out / f"{clip_id}.mp4")
        assert [round(t, 3) for t, _ in frames] == list(range(int(SECONDS) + 1))
        assert frames[0][1].shape == (HEIGHT, Layout(HEIGHT).width, 3)
    assert json.loads((elsewhere.out / "run_summary.json").read_text())["counts"]["done"] == 2
    assert leftovers(elsewhere.out) == []


def test_camera_pictures_are_those_of_their_moments(elsewhere):
    elsewhere.render(fps=2.0)
    frames = frames_of(elsewhere.out / f"{FILMED}.mp4")[:18]  # the camera's last frame is taken at 8.9 s
    shown = [number_of(rgb[SCENE.top : SCENE.bottom, SCENE.left : SCENE.right]) for _, rgb in frames]
    assert shown == [5 * number for number in range(18)]


def test_finished_videos_are_left_alone(elsewhere):
    elsewhere.render()
    before = contents(elsewhere.out)
    result = elsewhere.render()
    assert reasons(result) == {"already_done": [FILMED, UNFILMED]}
    after = contents(elsewhere.out)
    assert all(after[name] == before[name] for name in before if name.endswith(".mp4"))


def test_one_that_is_missing_or_older_than_its_labels_is_drawn_again(elsewhere):
    elsewhere.render(labels=str(elsewhere.run_dir))
    os.utime(elsewhere.out / f"{FILMED}.mp4", ns=(1, 1))
    assert reasons(elsewhere.render(labels=str(elsewhere.run_dir))) == {"camera": [FILMED], "already_done": [UNFILMED]}
    (elsewhere.out / f"{UNFILMED}.mp4").unlink()
    again = elsewhere.render(labels=str(elsewhere.run_dir))
    assert reasons(again) == {"already_done": [FILMED], "schematic": [UNFILMED]}


def test_videos_are_drawn_again_with_the_risk_once_the_labels_are_checked(elsewhere, tmp_path):
    run = Path(shutil.copytree(elsewhere.run_dir, tmp_path / "checked"))
    elsewhere.render(labels=str(run))
    before = frames_of(elsewhere.out / f"{UNFILMED}.mp4")
    (row, *_) = [row for row in load_labels(str(run)).to_pylist() if row["clip_id"] == UNFILMED]
    checked = row | {"risk": 0.84, "status": "high", "reasons": ["it says that ego stops"]}
    kept = ("clip_id", "risk", "status", "reasons", "file_size", "file_mtime_ns")
    path = checks_path(str(run), UNFILMED, row["event_start_timestamp"])
    Path(path).write_text(to_json({name: checked[name] for name in kept}))
    again = elsewhere.render(labels=str(run))
    assert reasons(again) == {"already_done": [FILMED], "schematic": [UNFILMED]}
    second, card = row["event_start_timestamp"] // 1_000_000 + 1, Layout(HEIGHT).label
    after = frames_of(elsewhere.out / f"{UNFILMED}.mp4")
    cards = [frames[second][1][card.top : card.bottom, card.left : card.right] for frames in (before, after)]
    assert np.abs(cards[0].astype(int) - cards[1]).max() > 60


def test_videos_are_drawn_again_of_records_that_were_edited(elsewhere, tmp_path):
    run = Path(shutil.copytree(elsewhere.run_dir, tmp_path / "edited"))
    elsewhere.render(labels=str(run))
    path = next((run / UNFILMED).glob("cot_*.yaml"))
    path.write_text(path.read_text().replace("decision: stop", "decision: yield"))
    again = elsewhere.render(labels=str(run))
    assert reasons(again) == {"already_done": [FILMED], "schematic": [UNFILMED]}
    assert again.notices == []


def test_a_folder_of_other_videos_is_refused(elsewhere):
    elsewhere.render()
    with pytest.raises(CocLabelingError, match=r"labels was None and is .*Choose another --vis_dir"):
        elsewhere.render(labels=str(elsewhere.run_dir))


def test_listed_clips_only_and_unknown_ones_are_named(elsewhere, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{UNFILMED}\nnobody\n../escape\n{UNFILMED}\n")
    result = elsewhere.render(clip_list_path=str(listed))
    assert reasons(result) == {"schematic": [UNFILMED], "unknown_id": ["nobody"], "illegal_id": ["../escape"]}
    assert result.tally.exit_code(strict=False) == 1
    assert any("repeated" in notice for notice in result.notices)
    assert sorted(path.name for path in elsewhere.out.glob("*.mp4")) == [f"{UNFILMED}.mp4"]


def test_a_damaged_video_costs_its_clip_only(tmp_path, place):
    own = Place(tmp_path)
    own.data = tmp_path / "data"
    for folder in ("labels",):
        (own.data / folder).parent.mkdir(parents=True, exist_ok=True)
        (own.data / folder).symlink_to(place.data / folder)
    own.film(FILMED, b"this is no video" * 100)
    result = own.render(meta_action_dir=str(place.root / "meta_actions"))
    assert reasons(result) == {"corrupt_video": [FILMED], "schematic": [UNFILMED]}
    assert not (own.out / f"{FILMED}.mp4").exists()
    assert leftovers(own.out) == []


def test_records_that_are_gone_are_shown_from_the_table(elsewhere, place, tmp_path):
    copy = tmp_path / "experiment"
    copy.mkdir()
    (copy / "labels.parquet").write_bytes((place.run_dir / "labels.parquet").read_bytes())
    result = elsewhere.render(labels=str(copy))
    assert len(reasons(result)) == 2
    assert any("records cannot be read" in notice for notice in result.notices)


def test_drawing_in_worker_processes_gives_the_same(elsewhere, monkeypatch, tmp_path):
    elsewhere.render()
    here = contents(elsewhere.out)
    monkeypatch.setattr(elsewhere, "out", tmp_path / "other")
    monkeypatch.setattr(plan, "useful_workers", lambda asked, tasks: 2)
    assert elsewhere.render(num_workers=2).tally.count("done") == 2
    there = contents(elsewhere.out)
    assert all(there[name] == here[name] for name in here if name.endswith(".mp4"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_workers": 0}, "--num_workers 0"),
        ({"fps": 0.0}, "--fps 0"),
        ({"labels": "/nowhere"}, "labels.parquet"),
        ({"data_dir": "/nowhere"}, "/nowhere: no such folder"),
        ({"dataset": "nuplan"}, "nuplan"),
    ],
)
def test_what_cannot_be_done_is_said(elsewhere, changes, said):
    with pytest.raises((CocLabelingError, DatasetError), match=said):
        elsewhere.render(**changes)
    assert not elsewhere.out.exists()
