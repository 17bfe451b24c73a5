"""What is to be prepared, and which of it makes two prepared folders differ."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.scenes import MODEL_CAMERAS, SceneShape, sorted_cameras
from alpamayo_r1.training.examples import TrainingExample
from alpamayo_r1.training.prepared.frame_size import FrameSize
from driving_clips import files


@dataclass(frozen=True)
class PrepareRequest:
    """What is to be prepared.

    Attributes:
        labels: what ``read_labels`` reads.
        out: the folder that it is prepared in.
        dataset: the name of the dataset that the labels are about; None where they are an ``sft-chat`` export, whose
            pictures and poses are taken.
        data_dir: the dataset's root; likewise.
        video_dir: a folder of videos that comes before the dataset's own, or None.
        cameras: which ones, in the order in which the model is shown them.
        shape: how much of a moment is read.
        size: how large frames become.
        num_workers: processes that decode.

    Raises:
        AlpamayoError: values that cannot be meant.
        DatasetError: cameras that cannot be meant.
    """

    labels: str
    out: str
    dataset: str | None = None
    data_dir: str | None = None
    video_dir: str | None = None
    cameras: tuple[str, ...] = MODEL_CAMERAS
    shape: SceneShape = field(default_factory=SceneShape)
    size: FrameSize = field(default_factory=FrameSize)
    num_workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", sorted_cameras(self.cameras))
        if self.num_workers < 1:
            raise AlpamayoError(f"num_workers={self.num_workers}: expected at least 1.")
        if (self.dataset is None) != (self.data_dir is None):
            raise AlpamayoError(
                f"dataset={self.dataset}, data_dir={self.data_dir}: expected both, or neither for an sft-chat export."
            )

    def settings(self, examples: Sequence[TrainingExample]) -> dict[str, Any]:
        """Return what scenes of one folder have in common, with a digest of the examples."""
        digest = hashlib.sha256()
        for example in examples:
            digest.update(json.dumps(astuple(example)).encode())
        return {
            "labels": digest.hexdigest()[:16],
            "dataset": self.dataset,
            "cameras": list(self.cameras) if self.dataset is not None else None,
            "shape": asdict(self.shape),
            "size": asdict(self.size),
        }

    def places(self) -> dict[str, str | None]:
        """Return where recordings are read: elsewhere, moments that could not be read are tried again."""
        return {
            "data_dir": None if self.data_dir is None else files.absolute(self.data_dir),
            "video_dir": None if self.video_dir is None else files.absolute(self.video_dir),
        }
