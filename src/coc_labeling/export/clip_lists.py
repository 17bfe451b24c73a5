"""The clips of each split as text files, an id a line, as every command takes them by ``--scene_list``."""

from typing import IO

from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow
from driving_clips import files


class ClipLists:
    """Writes ``splits/<split>.txt``."""

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder
        self._files: dict[str, IO[str]] = {}
        self._clip: str | None = None

    def add(self, row: ExportRow) -> None:
        """Take a label; labels of a clip come together."""
        if row.clip_id == self._clip:
            return
        self._clip = row.clip_id
        if row.split not in self._files:
            self._files[row.split] = files.open_append(self._folder.create(f"splits/{row.split}.txt"))
        self._files[row.split].write(f"{row.clip_id}\n")

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
