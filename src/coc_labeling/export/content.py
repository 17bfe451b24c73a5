"""What an export is to hold besides labels: components of the model's token sequence, pictures, when and from where."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.errors import CocLabelingError
from driving_clips.datasets.base import is_legal_id

MOST_TIMES = 100
EARLIEST_SEC = -20.0  # a clip's length
_NUMBER = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{1,6})?")


class Component(StrEnum):
    """A part of the model's token sequence, in its order."""

    IMAGE = "image"
    TRAJ_HISTORY = "traj_history"
    PROMPT = "prompt"
    COT = "cot"
    META_ACTION = "meta_action"
    TRAJ_FUTURE = "traj_future"


ANSWERS = (Component.COT, Component.META_ACTION, Component.TRAJ_FUTURE)
DEFAULT_COMPONENTS = (
    Component.IMAGE,
    Component.TRAJ_HISTORY,
    Component.PROMPT,
    Component.COT,
    Component.TRAJ_FUTURE,
)


class Images(StrEnum):
    """How a dataset of tables holds pictures."""

    BYTES = "bytes"
    PATHS = "paths"
    NONE = "none"


class Need(StrEnum):
    """What a format needs of the recordings themselves."""

    FRAMES = "frames"
    TRAJECTORY = "trajectory"


@dataclass(frozen=True)
class Content:
    """What the formats with frames or trajectories are to hold.

    Attributes:
        components: parts of the token sequence, in its order.
        images: how tables hold pictures.
    """

    components: tuple[Component, ...] = DEFAULT_COMPONENTS
    images: Images = Images.BYTES

    @property
    def needs(self) -> frozenset[Need]:
        """What the components need of the recordings."""
        frames = {Need.FRAMES} if Component.IMAGE in self.components else set()
        moves = {Component.TRAJ_HISTORY, Component.TRAJ_FUTURE} & set(self.components)
        return frozenset(frames | ({Need.TRAJECTORY} if moves else set()))


@dataclass(frozen=True)
class Recordings:
    """Where recordings are, and what is taken of them.

    Attributes:
        data_dir: where the dataset is now; None where the run had it.
        video_dir: where the videos are now; likewise.
        cameras: which ones; None takes the run's.
        times_sec: when, in s relative to the keyframe; None takes those that the run samples up to the keyframe.
        num_workers: the most processes to use.
    """

    data_dir: str | None = None
    video_dir: str | None = None
    cameras: tuple[str, ...] | None = None
    times_sec: tuple[float, ...] | None = None
    num_workers: int = 1

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise CocLabelingError(f"--num_workers {self.num_workers}: expected at least 1.")


def parse_components(text: str) -> tuple[Component, ...]:
    """Read ``name,name``; something is asked and something is answered.

    Raises:
        CocLabelingError: anything else.

    Example:
        >>> [str(part) for part in parse_components("cot,image")]
        ['image', 'cot']
    """
    names = _parts(text)
    chosen = tuple(part for part in Component if part in names)
    if len(chosen) < len(names) or all(part in ANSWERS for part in chosen) or not set(ANSWERS) & set(chosen):
        raise CocLabelingError(
            f"--components {text!r}: expected names of {', '.join(Component)}, each once, at least one of the last "
            "three and one of the others."
        )
    return chosen


def parse_cameras(text: str) -> tuple[str, ...]:
    """Read ``camera,camera``; raises CocLabelingError where one cannot be a camera's name, or is there twice."""
    names = _parts(text)
    if not names or len(set(names)) < len(names) or not all(is_legal_id(name) for name in names):
        raise CocLabelingError(f"--cameras {text!r}: expected names of cameras, each once, joined by commas.")
    return tuple(names)


def parse_times(text: str) -> tuple[float, ...]:
    """Read ``-0.3,-0.2,0``: s relative to the keyframe; later ones are refused, a model must not see them.

    Raises:
        CocLabelingError: anything else.

    Example:
        >>> parse_times("0, -0.5")
        (-0.5, 0.0)
    """
    parts = _parts(text)
    times = [float(part) for part in parts if _NUMBER.fullmatch(part)]
    legal = all(EARLIEST_SEC <= time <= 0 and math.isfinite(time) for time in times)
    if not times or len(times) < len(parts) or len(times) > MOST_TIMES or len(set(times)) < len(times) or not legal:
        raise CocLabelingError(
            f"--times {text!r}: expected times from {EARLIEST_SEC:g} to 0 s relative to the keyframe, each once, such "
            "as -0.3,-0.2,-0.1,0. What comes after the keyframe must not be shown."
        )
    return tuple(sorted(times))


def _parts(text: str) -> Sequence[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
