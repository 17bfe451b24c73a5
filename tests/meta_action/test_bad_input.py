"""Bad input costs only itself, is named, and is counted."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from builders import odd_datasets
from builders.commands import autolabel, contents, labels, leftovers, summary
from builders.driving import Drive, drive, lively_drive, uuid_like
from builders.golden import DEMO
from builders.pai import ego_columns, ego_parquet, parquet, write_chunk
from builders.table import csv_text, drive_columns, write_csv
from driving_clips import files
from driving_clips.datasets import DATASETS

GOOD = ["good1", "good2"]


@pytest.fixture
def data(tmp_path):
    for i, name in enumerate(GOOD):
        write_csv(tmp_path / "data", name, lively_drive(i))
    return tmp_path / "data"


def with_cells(d: Drive, rows, value: float) -> Drive:
    d.x[rows] = value
    return d


def spoiled_files() -> dict[str, tuple[str, bytes, str, str]]:
    """Return (file name, content, outcome, reason) of everything that can be wrong with one recording."""
    d = drive(20.0)
    hole = d.rows((d.t_us < 5_000_000) | (d.t_us > 7_000_000))

    def csv(some: Drive) -> bytes:
        return csv_text(drive_columns(some)).encode()

    return {
        "truncated parquet": ("bad.parquet", parquet(drive_columns(d))[:-99], "failed", "corrupt_parquet"),
        "wrong columns": ("bad.parquet", parquet({"lat": d.x, "lon": d.y}), "failed", "wrong_schema"),
        "no csv": ("bad.csv", b"\x00\x01\x02", "failed", "corrupt_csv"),
        "empty file": ("bad.csv", b"", "failed", "corrupt_csv"),
        "all nan": ("bad.csv", csv(with_cells(drive(), slice(None), np.nan)), "rejected", "no_finite_samples"),
        "header only": ("bad.csv", csv(d.rows(slice(0, 0))), "rejected", "no_finite_samples"),
        "too short": ("bad.csv", csv(drive(0.8)), "rejected", "too_short"),
        "hole": ("bad.csv", csv(hole), "rejected", "hole"),
        "absurd speed": ("bad.csv", csv(drive(speed=150.0)), "rejected", "absurd_speed"),
        "absurd jump": ("bad.csv", csv(with_cells(drive(), slice(50, 60), 1e7)), "rejected", "absurd_speed"),
        "illegal id": ("bad id.csv", csv(d), "failed", "illegal_id"),
        "id of no unicode": (os.fsdecode(b"bad\xe9.csv"), csv(d), "failed", "illegal_id"),
    }


@pytest.mark.parametrize("case", spoiled_files())
def test_a_bad_recording_costs_only_itself_is_named_and_counted(data, tmp_path, case, capsys):
    name, content, outcome, reason = spoiled_files()[case]
    (data / name).write_bytes(content)
    assert autolabel(data, tmp_path / "out") == (1 if outcome == "failed" else 0)
    written = summary(tmp_path / "out")
    assert written["counts"]["done"] == len(GOOD)
    ((item,),) = [written["ids"][outcome][reason]]
    assert "bad" in item
    assert len(written["messages"][item]) > 30
    said = capsys.readouterr().out
    assert "bad" in said
    assert reason in said


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_some_rows_that_are_not_finite_do_no_harm(data, tmp_path, value):
    write_csv(data, "spotty", with_cells(drive(speed=9.0), [50, 51, 120], value))
    assert autolabel(data, tmp_path / "out") == 0
    assert "Start:0, End:200" in (tmp_path / "out" / "final_outputs" / "spotty.txt").read_text()


def test_a_corrupt_archive_costs_only_its_own_clips(tmp_path):
    for chunk in range(3):
        clips = {uuid_like(10 * chunk + i): ego_parquet(lively_drive(i)) for i in range(3)}
        path = write_chunk(tmp_path / "data", clips, name=f"chunk_{chunk:04}")
        if chunk == 1:
            path.write_bytes(path.read_bytes()[:-40])
    assert autolabel(tmp_path / "data", tmp_path / "out", dataset="pai") == 1
    written = summary(tmp_path / "out")
    assert written["counts"] == {"done": 6, "rejected": 0, "failed": 1}
    assert written["ids"]["failed"] == {"corrupt_zip": ["labels/egomotion/egomotion.chunk_0001.zip"]}
    assert "Download it again" in next(iter(written["messages"].values()))


def test_bad_members_of_an_archive_cost_only_themselves(tmp_path):
    columns = ego_columns(drive())
    members = {
        "good": ego_parquet(lively_drive(1)),
        "torn": ego_parquet(drive())[:-60],
        "schema": parquet({"timestamp": columns["timestamp"]}),
        "nan": parquet(columns | {"qw": columns["qw"] * np.nan}),
        "a.b.c": ego_parquet(lively_drive(2)),
    }
    path = write_chunk(tmp_path / "data", members)
    data = bytearray(path.read_bytes())
    at = data.index(b"a.b.c.egomotion.parquet") + 200
    data[at : at + 20] = bytes(20)  # a damaged member: its checksum is wrong
    path.write_bytes(data)
    assert autolabel(tmp_path / "data", tmp_path / "out", dataset="pai") == 1
    ids = summary(tmp_path / "out")["ids"]
    assert ids["done"] == {"labelled": ["good"]}
    assert ids["rejected"] == {"no_finite_samples": ["nan"]}
    assert ids["failed"] == {"corrupt_parquet": ["torn"], "wrong_schema": ["schema"], "corrupt_zip": ["a.b.c"]}


def test_two_different_clips_with_one_id_both_fail_in_one_message(data, tmp_path):
    write_csv(data / "one", "twin", lively_drive(5))
    write_csv(data / "two", "twin", lively_drive(6))
    write_csv(data / "three", "good1", lively_drive(0))  # the same again
    assert autolabel(data, tmp_path / "out") == 1
    written = summary(tmp_path / "out")
    assert written["ids"]["failed"] == {"duplicate_id": ["twin"]}
    assert "one/twin.csv" in written["messages"]["twin"]
    assert "two/twin.csv" in written["messages"]["twin"]
    assert written["counts"]["done"] == 2
    assert "final_outputs/twin.txt" not in labels(tmp_path / "out")


def test_a_clip_cut_from_a_recording_and_another_with_the_same_id_both_fail(data, tmp_path):
    write_csv(data, "long", lively_drive(5, 40.0))
    write_csv(data, "long-20", lively_drive(6))
    assert autolabel(data, tmp_path / "out") == 1
    written = summary(tmp_path / "out")
    assert written["ids"]["failed"] == {"duplicate_id": ["long-20"]}
    assert "final_outputs/long-20.txt" not in labels(tmp_path / "out")


def test_one_wrong_timestamp_in_an_epoch_recording_does_not_stall_the_run(data, tmp_path):
    d = drive().shifted(40_000_000_000)
    d.t_us[0] = 0
    write_csv(data, "glitch", d)
    autolabel(data, tmp_path / "out")
    counts = summary(tmp_path / "out")["counts"]
    assert counts["done"] == len(GOOD)
    assert counts["rejected"] + counts["failed"] <= 3


def test_a_listed_clip_of_a_corrupt_recording_is_told_with_its_file(data, tmp_path):
    (data / "broken.csv").write_text("nonsense\n")
    (tmp_path / "list.txt").write_text("broken-20\ngood1\n")
    assert autolabel(data, tmp_path / "out", "--scene_list", tmp_path / "list.txt") == 1
    assert any("broken.csv" in message for message in summary(tmp_path / "out")["messages"].values())


UNFORESEEN = [RuntimeError("gave up"), NotImplementedError("not yet"), AssertionError("never"), AttributeError("no")]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_of_a_reader_costs_only_its_clip(data, tmp_path, monkeypatch, error):
    monkeypatch.setitem(DATASETS, "raising", odd_datasets.RaisingDataset)
    monkeypatch.setattr(odd_datasets.RaisingDataset, "error", error)
    write_csv(data, "odd1", lively_drive(3))
    assert autolabel(data, tmp_path / "out", dataset="raising") == 1
    written = summary(tmp_path / "out")
    assert written["ids"]["failed"] == {"crashed": ["odd1"]}
    assert written["counts"]["done"] == len(GOOD)


def test_a_damaged_gzip_costs_only_its_drive(tmp_path):
    for name in ("boreas-2021-08-05-13-34", "boreas-2021-09-02-11-42"):
        shutil.copytree(DEMO / "boreas" / name, tmp_path / "data" / name)
    path = tmp_path / "data" / name / "applanix" / "camera_poses.csv.gz"
    content = bytearray(path.read_bytes())
    content[5000:5200] = bytes(200)
    path.write_bytes(content)
    assert autolabel(tmp_path / "data", tmp_path / "out", dataset="boreas") == 1
    assert summary(tmp_path / "out")["ids"]["failed"] == {"corrupt_csv": [name]}


def test_a_dying_worker_process_costs_only_its_clip(data, tmp_path, monkeypatch):
    monkeypatch.setattr("meta_action.run.SOURCES_PER_WORKER", 1)
    monkeypatch.setitem(DATASETS, "dying", odd_datasets.DyingDataset)
    write_csv(data, "deadly1", lively_drive(3))
    for i in range(3, 9):
        write_csv(data, f"good{i}", lively_drive(i))
    assert autolabel(data, tmp_path / "out", dataset="dying", workers=2) == 1
    written = summary(tmp_path / "out")
    assert written["ids"]["failed"] == {"worker_died": ["deadly1"]}
    assert "deadly1.csv" in written["messages"]["deadly1"]
    assert written["counts"]["done"] == 8
    (data / "deadly1.csv").unlink()
    assert autolabel(data, tmp_path / "out", dataset="dying", workers=1) == 0


def full_disk(monkeypatch, allowed: int) -> None:
    """Let some writes pass, then answer that the disk is full."""
    write, left = os.write, [allowed]

    def limited(descriptor, content):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content)

    monkeypatch.setattr(files.os, "write", limited)


def test_a_full_disk_stops_the_run_and_the_same_command_goes_on_later(data, tmp_path, monkeypatch, capsys):
    for i in range(3, 12):
        write_csv(data, f"good{i}", lively_drive(i))
    full_disk(monkeypatch, allowed=9)
    code = autolabel(data, tmp_path / "out")
    monkeypatch.undo()
    assert code in (1, 2)
    assert "disk is full" in (said := capsys.readouterr()).err + said.out
    assert not leftovers(tmp_path / "out")
    assert autolabel(data, tmp_path / "out") == 0
    autolabel(data, tmp_path / "fresh")
    assert labels(tmp_path / "out") == labels(tmp_path / "fresh")


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 256 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root with CAP_SYS_ADMIN on Linux")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_really_full_disk_is_told_without_a_traceback(data, tmp_path, tiny_disk, capsys):
    for i in range(3, 90):
        write_csv(data, f"good{i}", drive())
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    code = autolabel(data, tiny_disk / "out")
    assert code in (1, 2)
    said = capsys.readouterr()
    assert "disk is full" in said.err + said.out
    assert all(
        Path(tiny_disk, "out", name).stat().st_size for name in contents(tiny_disk / "out") if name.endswith(".txt")
    )


def test_after_a_really_full_disk_the_same_command_goes_on(data, tmp_path, tiny_disk):
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    for i in range(3, 12):
        write_csv(data, f"good{i}", lively_drive(i))
    assert autolabel(data, tiny_disk / "out") in (1, 2)
    ballast.unlink()
    assert autolabel(data, tiny_disk / "out") == 0
    autolabel(data, tmp_path / "fresh")
    assert labels(tiny_disk / "out") == labels(tmp_path / "fresh")
