"""The world on disk: a dataset that the project's own readers read, and nothing of the future in its pictures."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.small_world.drawing import frame
from benchmarks.small_world.folder import CAMERA, LABELS, T0_US, read_truth, write_folder
from benchmarks.small_world.motion import drive
from benchmarks.small_world.sentences import sentence_of
from benchmarks.small_world.world import moments

from alpamayo_r1.scenes import SceneReader
from driving_clips.datasets.pai import PaiDataset

MOMENTS = list(moments(4, 3, "clip"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("world") / "train", MOMENTS)


@pytest.fixture(scope="module")
def reader(folder):
    return SceneReader(PaiDataset(str(folder)), (CAMERA,))


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.cause)
def test_paths_read_back_are_those_that_were_driven(reader, moment):
    scene = reader.read(moment.name, T0_US)
    driven = drive(moment, 1.6, 6.6)
    at = np.searchsorted(driven.t_sec, np.arange(1, 65) * 0.1 - 0.005)
    assert scene.path.future_xyz[:, :2] == pytest.approx(driven.xy[at], abs=0.01)
    assert scene.path.history_xyz.shape == (16, 3)
    assert scene.notes == ()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.cause)
def test_videos_keep_colours_and_end_at_t0(reader, moment):
    scene = reader.read(moment.name, T0_US)
    assert scene.frame_times_us.tolist() == [[T0_US - 300_000, T0_US - 200_000, T0_US - 100_000, T0_US]]
    shown = scene.frames[0][-1].transpose(1, 2, 0).astype(float)
    assert np.abs(shown - frame(moment, 0.0, 0.0)).mean() < 6.0


def test_labels_are_a_reasoning_parquet_and_the_truth_lies_beside(folder):
    rows = pq.read_table(folder / LABELS).to_pylist()
    assert [(row["clip_id"], json.loads(row["events"])) for row in rows] == [
        (one.name, [{"event_start_timestamp": T0_US, "cot": sentence_of(one)}]) for one in MOMENTS
    ]
    truth = read_truth(folder)
    assert {name: known.cause for name, known in truth.items()} == {one.name: one.cause for one in MOMENTS}


def test_the_same_moments_give_the_same_files(folder, tmp_path):
    again = write_folder(tmp_path / "again", MOMENTS)
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    assert names
    assert [(again / name).read_bytes() for name in names] == [(folder / name).read_bytes() for name in names]
