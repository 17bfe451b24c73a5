"""Datasets that misbehave on purpose; registered by tests under ``driving_clips.datasets.DATASETS``."""

import os
import shutil

from driving_clips.datasets.base import SourceGroup
from driving_clips.datasets.table import TableDataset
from driving_clips.trajectories import TrajectoryLoader


class DyingDataset(TableDataset):
    """Takes its process along where a recording's id starts with ``deadly``."""

    name = "dying"

    def read_ego(self, source):
        if source.recording_id.startswith("deadly"):
            os._exit(42)
        return super().read_ego(source)


class RaisingDataset(TableDataset):
    """Raises what no reader should where a recording's id starts with ``odd``."""

    name = "raising"
    error: Exception = RuntimeError("some library gave up")

    def read_ego(self, source):
        if source.recording_id.startswith("odd"):
            raise self.error
        return super().read_ego(source)


class CountingDataset(TableDataset):
    """Notes which recordings are read."""

    name = "counting"

    def __init__(self, data_dir):
        super().__init__(data_dir)
        self.read: list[str] = []

    def read_ego(self, source):
        self.read.append(source.recording_id)
        return super().read_ego(source)


def use_cache_again_and_again(data_dir: str, cache_dir: str, begun) -> None:
    """Load a table dataset through a cache many times, deleting the cache now and then; runs in a second process."""
    begun.wait()
    for i in range(40):
        dataset = CountingDataset(data_dir)
        sources = [source for group in dataset.discover().groups for source in group.sources]
        TrajectoryLoader(dataset, cache_dir).load(SourceGroup("all", tuple(sources)))
        if i % 3 == 0:
            shutil.rmtree(cache_dir, ignore_errors=True)
