"""Lists of clip ids that users hand in."""

from dataclasses import dataclass, field

from driving_clips import files
from driving_clips.errors import DatasetError


@dataclass(frozen=True)
class ClipList:
    """Clip ids from a text file with one a line.

    Attributes:
        ids: the ids, each once.
        repeated: ids that stand there more than once.
        blank_lines: numbers of lines without an id.
    """

    ids: frozenset[str]
    repeated: list[str] = field(default_factory=list)
    blank_lines: list[int] = field(default_factory=list)

    def notices(self, path: str) -> list[str]:
        """Return what the user should know of the list."""
        notes = []
        if self.repeated:
            notes.append(f"{path}: {len(self.repeated)} repeated ids, each taken once: {_few(self.repeated)}")
        if self.blank_lines:
            notes.append(f"{path}: {len(self.blank_lines)} blank lines skipped: {_few(self.blank_lines)}")
        return notes


def read_clip_list(path: str) -> ClipList:
    """Read a list of clip ids; raises DatasetError where there is no file or no id in it."""
    try:
        lines = [line.strip() for line in files.read_text(path).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: expected a text file with one clip id per line ({error}).") from error
    counts: dict[str, int] = {}
    for line in lines:
        if line:
            counts[line] = counts.get(line, 0) + 1
    if not counts:
        raise DatasetError(f"{path}: no clip id in it. Write one clip id per line.")
    return ClipList(
        frozenset(counts),
        [clip_id for clip_id, count in counts.items() if count > 1],
        [number for number, line in enumerate(lines, start=1) if not line],
    )


def _few(items: list) -> str:
    shown = ", ".join(map(str, items[:5]))
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5} more"
