"""What a worker process does: examples in, a shard out."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.examples import TrainingExample
from alpamayo_r1.training.prepared import pictures, shards
from alpamayo_r1.training.prepared.moments import DatasetMoments, ExportMoments, Moment, Moments
from alpamayo_r1.training.prepared.request import PrepareRequest
from batch_runs.outcomes import FAILED, REJECTED
from driving_clips import files
from driving_clips.datasets import open_dataset
from driving_clips.errors import ClipError, ClipFailedError, ClipRejectedError, DatasetError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chunk:
    """Examples that come into one shard, and where to find their moments; travels to worker processes."""

    examples: tuple[TrainingExample, ...]
    places: Mapping[Any, Any]

    @property
    def name(self) -> str:
        """The name of the shard: another one for other moments."""
        keys = "\n".join(f"{example.clip_id}/{example.t0_us}" for example in self.examples)
        return f"{shards.PREFIX}{hashlib.sha256(keys.encode()).hexdigest()[:16]}{shards.ENDING}"

    def parts(self) -> list["Chunk"]:
        """Return a chunk for each example."""
        return [Chunk((example,), self.places) for example in self.examples]


class LeftOut(NamedTuple):
    """Why a moment cannot be learnt from: outcome and reason to count by, what it is called, and a message."""

    outcome: str
    reason: str
    item: str
    message: str

    @classmethod
    def of(cls, example: TrainingExample, error: ClipError) -> "LeftOut":
        """Return what an error means for an example."""
        outcome = REJECTED if error.outcome == REJECTED else FAILED
        item = f"{example.clip_id}/{example.t0_us}"
        said = str(error).removeprefix(f"{item}: ").removeprefix(f"{example.clip_id}: ")
        return cls(outcome, error.reason, item, said)


@dataclass
class Work:
    """Prepares chunks; travels to worker processes."""

    request: PrepareRequest
    _moments: Moments | None = field(default=None, init=False)

    def __call__(self, chunk: Chunk) -> list[LeftOut]:
        """Write the shard of a chunk, none where no example gives a scene; returns what it has not.

        Raises:
            DatasetError: no video can be decoded at all.
            OSError: the shard cannot be written.
        """
        moments = self._moments = self._moments or _moments(self.request)
        moments.tell(chunk.places)
        left_out: list[LeftOut] = []
        path = files.join(self.request.out, chunk.name)
        with shards.written(path) as writer:
            for example in chunk.examples:
                moment = self._moment(moments, example)
                if isinstance(moment, ClipError):
                    left_out.append(LeftOut.of(example, moment))
                else:
                    writer.add(example, moment)
        if len(left_out) == len(chunk.examples):
            files.remove(path)
        return left_out

    def _moment(self, moments: Moments, example: TrainingExample) -> Moment | ClipError:
        """Return a moment with frames of the size that they are to have."""
        try:
            moment = moments.read(example)
            height, width = self.request.size.of(*moment.frames.shape[2:])
            return moment._replace(frames=pictures.resized(moment.frames, height, width))
        except ClipError as error:
            return error
        except AlpamayoError as error:
            return ClipRejectedError("frame_size", f"{example.clip_id}: {error}")
        except DatasetError:  # nothing can be read at all
            raise
        except Exception as error:  # whatever a reader or decoder stumbles over costs this moment only
            log.exception("%s/%d: preparing failed", example.clip_id, example.t0_us)
            return ClipFailedError("crashed", f"{example.clip_id}: {type(error).__name__}: {error}")


def _moments(request: PrepareRequest) -> Moments:
    if request.dataset is None or request.data_dir is None:
        return ExportMoments({}, request.shape)
    dataset = open_dataset(request.dataset, request.data_dir)
    return DatasetMoments(dataset, request.cameras, request.shape, request.video_dir)
