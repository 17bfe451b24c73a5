"""Which scenes a run is about, in a fixed order, found as they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alpamayo_r1.infer.request import InferRequest, Moments
from alpamayo_r1.scenes import SceneReader
from batch_runs.clip_lists import read_clip_list
from coc_labeling.keyframes import SAMPLED_FILE, read_keyframes
from driving_clips import files
from driving_clips.datasets.base import Source
from driving_clips.errors import ClipError, ClipRejectedError


class Asked(NamedTuple):
    """A scene that is asked for, or a clip that gives none.

    Attributes:
        clip_id: the clip.
        t0_us: the moment, us on the clip clock.
        problem: why there is no scene, or None.
    """

    clip_id: str
    t0_us: int
    problem: ClipError | None = None

    @property
    def item(self) -> str:
        """What the scene is called in reports."""
        return self.clip_id if self.problem else f"{self.clip_id}/{self.t0_us}"


@dataclass(frozen=True)
class Plan:
    """The scenes of a run.

    Attributes:
        reader: of the dataset.
        request: what is asked for.
        wanted: ids of the clips to take, None for all.
        notices: what the user should know of the list of clips.
    """

    reader: SceneReader
    request: InferRequest
    wanted: frozenset[str] | None
    notices: tuple[str, ...]

    @classmethod
    def of(cls, reader: SceneReader, request: InferRequest) -> "Plan":
        """Return the plan of a request; raises DatasetError for a list of clips that cannot be read."""
        if request.scene_list is None:
            return cls(reader, request, None, ())
        listed = read_clip_list(request.scene_list)
        return cls(reader, request, listed.ids, tuple(listed.notices(request.scene_list)))

    def __len__(self) -> int:
        """How many clips, or recordings that are cut into clips, are gone through."""
        if self.request.moments.keyframes is not None:
            return len({asked.clip_id for asked in self._listed(self.request.moments.keyframes)})
        return len(self._sources())

    def scenes(self) -> Iterator[Asked]:
        """Yield what is asked for, clip by clip.

        Raises:
            CocLabelingError: a keyframe file that cannot be read.
            DatasetError: no clips in the dataset.
        """
        moments = self.request.moments
        if moments.keyframes is not None:
            yield from self._listed(moments.keyframes)
            return
        seen: set[str] = set()
        for source in self._sources():
            for asked in self._of_source(source, moments):
                seen.add(asked.clip_id)
                yield asked
        for clip_id in sorted(self.wanted or ()):
            if clip_id not in seen and clip_id in self.request.shard:
                said = f"{clip_id}: no clip of this id in {self.reader.dataset.data_dir}."
                yield Asked(clip_id, 0, ClipRejectedError("no_clip", said))

    def _listed(self, path: str) -> Iterator[Asked]:
        file = files.join(path, SAMPLED_FILE) if files.is_dir(path) else path
        for keyframe in read_keyframes(file):
            if self._takes(keyframe.clip_id):
                yield Asked(keyframe.clip_id, keyframe.t_us)

    def _sources(self) -> Sequence[Source]:
        sources = self.reader.sources.values()
        if self.reader.dataset.cuts_recordings:
            return list(sources)
        return [source for source in sources if self._takes(source.recording_id)]

    def _of_source(self, source: Source, moments: Moments) -> Iterator[Asked]:
        clip_ids = [source.recording_id]
        if self.reader.dataset.cuts_recordings:
            try:
                clip_ids = [clip_id for clip_id in self.reader.clips_of(source) if self._takes(clip_id)]
            except ClipError as error:
                if self.wanted is None:
                    yield Asked(source.recording_id, 0, error)
                return
        for clip_id in clip_ids:
            try:
                for t0_us in self._moments(clip_id, moments):
                    yield Asked(clip_id, t0_us)
            except ClipError as error:
                yield Asked(clip_id, 0, error)

    def _moments(self, clip_id: str, moments: Moments) -> Sequence[int]:
        if moments.every_us is None:
            return moments.fixed_us
        found = list(self.reader.moments(clip_id, moments.every_us))
        if not found:
            said = f"{clip_id}: too short for a history of {self.reader.shape.history_us / 1e6:.1f} s."
            raise ClipRejectedError("history_too_short", said)
        return found

    def _takes(self, clip_id: str) -> bool:
        return clip_id in self.request.shard and (self.wanted is None or clip_id in self.wanted)
