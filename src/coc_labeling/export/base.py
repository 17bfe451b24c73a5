"""What an exporter is: something that writes labels in one format, one after the other."""

from abc import ABC, abstractmethod
from typing import ClassVar

from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow


class Exporter(ABC):
    """Writes one format into a folder. Labels come sorted by clip and keyframe; few of them are held.

    Example:
        A format of your own is a subclass in the entry-point group ``coc_labeling.exporters``.
    """

    name: ClassVar[str]

    def __init__(self, folder: ExportFolder) -> None:
        self.folder = folder

    @abstractmethod
    def add(self, row: ExportRow) -> None:
        """Add a label."""

    @abstractmethod
    def close(self) -> None:
        """Write what is held and close all files; called once, after an error as well."""

    @abstractmethod
    def data_files(self) -> dict[str, str]:
        """Return the file of each split, as the ``datasets`` library is to find them; one name for an undivided one."""
