"""Exports with frames that are killed, and formats that other packages bring: with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders.commands import contents, leftovers
from builders.exports import exported, filmed
from coc_labeling.errors import CocLabelingError
from driving_clips import registry

CLIPS = [f"clip-{n:02d}" for n in range(10)]
PLUGINS = """
import os
import time

from coc_labeling.export.base import Exporter
from coc_labeling.export.content import Need
from driving_clips import files


def slow(picture, camera, t_us):
    time.sleep(0.02)
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{t_us}\\n")
    return picture


class Sentences(Exporter):
    name = "sentences"

    def __init__(self, folder, content):
        super().__init__(folder, content)
        self._file = files.open_append(folder.create("data/all.txt"))

    @classmethod
    def needs(cls, content):
        return frozenset({Need.FRAMES})

    def add(self, row):
        self._file.write(f"{row.clip_id} {len(row.scene.frames)} {row.cot}\\n")

    def close(self):
        self._file.close()

    def data_files(self):
        return {"all": "data/all.txt"}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A package of the user's with a redactor that takes its time, and a format."""
    site = tmp_path_factory.mktemp("site")
    info = site / "acme_exports-1.0.dist-info"
    info.mkdir()
    (site / "acme_exports.py").write_text(PLUGINS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-exports\nVersion: 1.0\n")
    entries = "[coc_labeling.redactors]\nslow = acme_exports:slow\n"
    entries += "[coc_labeling.exporters]\nsentences = acme_exports:Sentences\n"
    (info / "entry_points.txt").write_text(entries)
    return site


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("killed"), CLIPS, redactor="slow")


def start(run, out, site, seen, *options) -> subprocess.Popen:
    code = "from coc_toolkit.cli import main; main()"
    command = [sys.executable, "-c", code, "export", run, "--out", out, "--splits", "sft=1,evaluation=1", *options]
    env = os.environ | {"PYTHONPATH": str(site), "SEEN": str(seen)}
    return subprocess.Popen([*map(str, command)], env=env, stdout=subprocess.DEVNULL, start_new_session=True)


def pictures(out) -> list[Path]:
    return [*out.glob("images/*/*.jpg"), *out.glob(".images/*/*.jpg")]


@pytest.mark.parametrize(
    ("options", "workers"), [(("--format", "sft-chat"), 2), (("--format", "hf"), 1)], ids=["sft-chat", "hf"]
)
def test_killed_in_the_middle_the_same_command_ends_as_if_it_never_was(run, site, tmp_path, options, workers):
    seen = tmp_path / "seen.txt"
    killed = start(run, tmp_path / "killed", site, seen, *options, "--num_workers", workers)
    options = (*options, "--num_workers", 1)  # how many there are does not matter to what is written
    deadline = time.monotonic() + 60
    while len(pictures(tmp_path / "killed")) < 12:
        assert killed.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "README.md").exists()
    there = len(pictures(tmp_path / "killed"))

    before = len(seen.read_text().splitlines())
    assert start(run, tmp_path / "killed", site, seen, *options).wait() == 0
    again = len(seen.read_text().splitlines()) - before
    assert start(run, tmp_path / "whole", site, tmp_path / "all.txt", *options).wait() == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert again == len((tmp_path / "all.txt").read_text().splitlines()) - there  # nothing there was decoded again
    assert not leftovers(tmp_path / "killed")


@pytest.fixture
def plugins(site, tmp_path, monkeypatch):
    """The user's package in this process; returns where the redactor notes the pictures that it has seen."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.txt"))
    registry._extensions.cache_clear()
    yield tmp_path / "seen.txt"
    registry._extensions.cache_clear()


def test_finished_pictures_are_not_decoded_again(run, plugins, tmp_path):
    for _ in range(2):
        exported(run, tmp_path / "out", "sft-chat")
        assert len(plugins.read_text().splitlines()) == len(pictures(tmp_path / "out")) == 95


def test_a_format_of_another_package(run, plugins, tmp_path):
    exported(run, tmp_path / "out", "sentences")
    with pytest.raises(CocLabelingError, match="sentences"):
        exported(run, tmp_path / "other", "nothing")
    lines = (tmp_path / "out" / "data" / "all.txt").read_text().splitlines()
    assert len(lines) == 19
    assert lines[0] == "clip-00 5 Decelerate: the lead vehicle, 12 m ahead, stands."
