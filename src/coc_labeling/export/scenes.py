"""What was seen and driven around a label's keyframe, as formats with frames or trajectories hold it."""

from dataclasses import dataclass
from typing import NamedTuple

from coc_labeling.export.trajectory import Drive


class Frame(NamedTuple):
    """A picture that lies in the folder of the export.

    Attributes:
        path: as seen from that folder.
        camera: which one.
        t_us: when it was taken, us on the clip clock.
    """

    path: str
    camera: str
    t_us: int


@dataclass(frozen=True)
class Scene:
    """What was seen and driven around a keyframe; empty as far as a format does not need it.

    Attributes:
        frames: by camera in the model's order, of each the oldest first.
        drive: ego's path.
    """

    frames: tuple[Frame, ...] = ()
    drive: Drive | None = None


NOTHING = Scene()


@dataclass(frozen=True)
class Missing:
    """Why there is no scene.

    Attributes:
        reason: in a word to count by.
        detail: for people.
        is_failure: something is broken, rather than not there.
    """

    reason: str
    detail: str
    is_failure: bool
