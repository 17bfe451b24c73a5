"""A run that is killed in the middle, and the same command again."""

import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from builders.commands import autolabel, labels, leftovers
from builders.driving import uuid_like
from builders.golden import GOLDEN
from builders.pai import write_chunk
from driving_clips import files

CHUNKS, CLIPS_A_CHUNK = 14, 40


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Many clips: the golden archives' members again and again under other ids."""
    members = []
    for path in sorted((GOLDEN / "pai" / "labels" / "egomotion").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            members += [archive.read(name) for name in archive.namelist()]
    root = tmp_path_factory.mktemp("many")
    for chunk in range(CHUNKS):
        clips = {uuid_like(chunk * CLIPS_A_CHUNK + i): members[i] for i in range(CLIPS_A_CHUNK)}
        write_chunk(root, clips, name=f"chunk_{chunk:04}")
    return root


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert autolabel(data, folder, dataset="pai", workers=2) == 0
    return labels(folder)


def start(data, save_dir, workers: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "meta_action.data_labeling", "--dataset_name", "pai", "--data_dir", str(data)]
    command += ["--save_dir", str(save_dir), "--meta_action_names", "all_ego", "--num_workers", str(workers)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def wait_until_in_the_middle(run: subprocess.Popen, save_dir: Path) -> int:
    """Wait until a quarter of the clips has its text."""
    folder = save_dir / "final_outputs"
    for _ in range(6000):
        done = sum(1 for _ in folder.iterdir()) if folder.exists() else 0
        if done >= CHUNKS * CLIPS_A_CHUNK // 4 or run.poll() is not None:
            return done
        time.sleep(0.005)
    raise AssertionError("the run does not get on")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(data, undisturbed, tmp_path, workers):
    run = start(data, tmp_path, workers)
    wait_until_in_the_middle(run, tmp_path)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert run.returncode == -signal.SIGKILL, "the run had ended before it was killed"
    time.sleep(0.3)  # workers see that their parent is gone
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "final_outputs").glob("*.txt")}
    assert 0 < len(done) < CHUNKS * CLIPS_A_CHUNK
    assert autolabel(data, tmp_path, dataset="pai", workers=1) == 0
    assert labels(tmp_path) == undisturbed
    assert not leftovers(tmp_path)
    kept = sum(path.stat().st_mtime_ns == time_ns for path, time_ns in done.items())
    assert kept > 0, "what the journal holds is not done again"


def test_ctrl_c_ends_the_run_with_130_and_keeps_what_is_done(data, undisturbed, tmp_path):
    run = start(data, tmp_path, 1)
    wait_until_in_the_middle(run, tmp_path)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=20) == 130
    assert (tmp_path / "meta_actions.parquet").exists()
    assert autolabel(data, tmp_path, dataset="pai", workers=1) == 0
    assert labels(tmp_path) == undisturbed
    assert not leftovers(tmp_path)


def test_temporary_files_of_a_killed_run_are_removed(data, tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    (tmp_path / "final_outputs").mkdir()
    (tmp_path / "tmp" / "raw_results").mkdir(parents=True)
    for name in ("final_outputs/.a.txt", "tmp/raw_results/.a.json", ".clips.parquet"):
        (tmp_path / f"{name}.{files._HOST}-{process.pid}.tmp").write_text("half")
    (tmp_path / "list.txt").write_text(uuid_like(0))
    assert autolabel(data, tmp_path, "--scene_list", tmp_path / "list.txt", dataset="pai") == 0
    assert not leftovers(tmp_path)
