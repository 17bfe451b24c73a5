"""The drives that windows are cut from, as recorded: ego's samples and the tracks of others, known until a time."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from coc_labeling.review.material.errors import MaterialError, told
from coc_labeling.review.material.remembering import Remembered
from driving_clips.datasets.base import CLIP_US, Dataset, Source, is_legal_id, recording_of, start_of
from driving_clips.ego_motion import EgoSamples
from driving_clips.errors import ClipError
from driving_clips.obstacles import ObstacleTracks

RECORDINGS = 4  # in memory: one of 20 min at 200 Hz takes 25 MB


@dataclass(frozen=True)
class Recording:
    """One source.

    Attributes:
        source: where it lies.
        clips: ego's samples of each of its clips, or why a clip has none.
    """

    source: Source
    clips: Mapping[str, EgoSamples | ClipError]


class Drives:
    """Reads clips of a dataset, for several threads: readers of datasets may be made for one."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._recordings: Remembered[str, Recording] = Remembered(RECORDINGS)
        self._reading = threading.RLock()

    def samples(self, clip_id: str) -> EgoSamples:
        """Return a clip's ego motion as recorded, on its clock; raises MaterialError."""
        found = self._recording_with(clip_id).clips.get(clip_id)
        if isinstance(found, EgoSamples):
            return found
        raise MaterialError(f"{clip_id}: {found}" if found else self._unknown(clip_id))

    def tracks(self, clip_id: str, until_us: int | None) -> ObstacleTracks | None:
        """Return a clip's tracks in its local frame, on its clock, as far as they were known at a time.

        Boxes are placed by ego's samples up to that time alone: one that was measured between the last of these and the
        next is left out, for it would lie where the next one says.

        Args:
            clip_id: the clip.
            until_us: the time on its clock; None for all of the clip.

        Returns:
            The tracks, or None where the dataset has none for the clip.

        Raises:
            MaterialError: they cannot be read.
        """
        source = self._recording_with(clip_id).source
        is_cut = self.dataset.cuts_recordings and clip_id != source.recording_id
        start_us = start_of(clip_id) if is_cut else 0
        with self._reading, told(f"{clip_id}: tracks of road users"):
            ego = self.dataset.read_ego(source)
            known = ego if until_us is None else ego.until(start_us + until_us)
            found = self.dataset.read_obstacles(source, known)
            if found is not None and is_cut:
                found = found.between(start_us, start_us + CLIP_US)
            return found if found is None or until_us is None else found.until(until_us)

    def _recording_with(self, clip_id: str) -> Recording:
        if not is_legal_id(clip_id):
            raise MaterialError(f"{clip_id[:80]!r} cannot be a clip's name (letters, digits, '.', '_' and '-').")
        with self._reading, told(self.dataset.data_dir):
            names = (clip_id, recording_of(clip_id)) if self.dataset.cuts_recordings else (clip_id,)
            source = next((self._sources[name] for name in names if name in self._sources), None)
            if source is None:
                raise MaterialError(self._unknown(clip_id))
            return self._recordings.get(source.recording_id, lambda: self._read(source))

    def _read(self, source: Source) -> Recording:
        with told(source.recording_id):
            return Recording(source, dict(self.dataset.clips_of(source)))

    @cached_property
    def _sources(self) -> dict[str, Source]:
        groups = self.dataset.discover().groups
        return {source.recording_id: source for group in groups for source in group.sources}

    def _unknown(self, clip_id: str) -> str:
        place = self.dataset.data_dir
        return f"{clip_id}: no recording of this clip in {place}. Start coc review with another --data_dir."
