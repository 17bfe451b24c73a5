"""What is said to a model: parts of text and frames, as messages for wrappers and as references for records."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.common import TimedFrame
from coc_labeling.schema import PromptMessage

_REFERENCE = re.compile(r"^(?P<label>.*?) ?\[(?P<file>.+), index=(?P<index>\d+), ts=(?P<t_us>-?\d+)\]$")
TEXT, VIDEO = "text", "video"
MAX_KEPT_CHARS = 20_000  # of an answer
_KEPT_START_CHARS, _CUT = 2_000, "\n[...]\n"


@dataclass(frozen=True)
class Shot:
    """One frame as it is shown to a model.

    Attributes:
        file: name of the video it comes from; never sent.
        index: its place in that video, in display order.
        t_us: microseconds on the clip clock; never sent.
        data_uri: the picture as a ``data:image/jpeg;base64,...`` text.
    """

    file: str
    index: int
    t_us: int
    data_uri: str


@dataclass(frozen=True)
class CameraFrames:
    """The frames of one camera in a window.

    Attributes:
        camera: its name.
        shots: the frames, oldest first; fewer than asked for where the video has none.
        missing: how many of the sampled times have no frame.
        notes: what was wrong with the video.
    """

    camera: str
    shots: tuple[Shot, ...]
    missing: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Text, or frames with a label each, said in one role."""

    role: str
    text: str = ""
    frames: tuple[tuple[str, Shot], ...] = ()

    def message(self) -> dict[str, Any]:
        """Return the part as wrappers take it: role, m_type and content."""
        if self.frames:
            timed = [TimedFrame(label, shot.data_uri, shot.t_us / 1e6) for label, shot in self.frames]
            return {"role": self.role, "m_type": VIDEO, "content": timed}
        return {"role": self.role, "m_type": TEXT, "content": self.text}

    def reference(self) -> PromptMessage:
        """Return the part as records keep it: a line per frame instead of its pixels."""
        if not self.frames:
            return PromptMessage(role=self.role, m_type=TEXT, content=self.text)
        lines = (f"{label} [{shot.file}, index={shot.index}, ts={shot.t_us}]" for label, shot in self.frames)
        return PromptMessage(role=self.role, m_type=VIDEO, content="\n".join(lines))


def kept(answer: str) -> str:
    """Return an answer as it is kept and said back: of a very long one the start, and the end, where JSON stands."""
    if len(answer) > MAX_KEPT_CHARS:
        end = MAX_KEPT_CHARS - _KEPT_START_CHARS - len(_CUT)
        answer = answer[:_KEPT_START_CHARS] + _CUT + answer[-end:]
    return answer.encode(errors="replace").decode()  # halves of characters are no text


def messages(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Return a conversation as wrappers take it."""
    return [part.message() for part in parts]


def plain_messages(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Return a conversation for wrappers of users: frames as JPEG bytes, their times in a text before them."""
    said: list[dict[str, Any]] = []
    for part in parts:
        if not part.frames:
            said.append(part.message())
            continue
        labels = ", ".join(label for label, _ in part.frames)
        pictures = [base64.b64decode(shot.data_uri.partition(",")[2]) for _, shot in part.frames]
        said.append({"role": part.role, "m_type": TEXT, "content": f"Frames at {labels}:"})
        said.append({"role": part.role, "m_type": VIDEO, "content": pictures})
    return said


@dataclass(frozen=True)
class Reference:
    """A frame as a record refers to it."""

    label: str
    file: str
    index: int


def references(message: PromptMessage) -> list[Reference]:
    """Return the frames that a part of a record refers to; none of a text.

    Raises:
        CocLabelingError: a line that is no reference to a frame.
    """
    if message.m_type != VIDEO:
        return []
    found = []
    for line in message.content.splitlines():
        match = _REFERENCE.match(line)
        if match is None:
            raise CocLabelingError(f"expected a frame as '<time> [<file>, index=<n>, ts=<us>]', found {line[:80]!r}.")
        found.append(Reference(match["label"], match["file"], int(match["index"])))
    return found


def part_of(message: PromptMessage, shots: Mapping[tuple[str, int], Shot]) -> Part:
    """Return the part that a record refers to, given its frames by file and index."""
    if message.m_type != VIDEO:
        return Part(message.role, message.content)
    frames = ((one.label, shots[one.file, one.index]) for one in references(message))
    return Part(message.role, frames=tuple(frames))
