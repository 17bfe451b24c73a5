"""What an exporter is: something that writes labels in one format, one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from coc_labeling.export.columns import Column
from coc_labeling.export.content import Content, Images, Need
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow


class Exporter(ABC):
    """Writes one format into a folder. Labels come sorted by clip and keyframe; few of them are held.

    Attributes:
        name: of the format.
        takes_components: whether it holds parts of the model's token sequence that can be chosen.
        images: how it can hold pictures, where that can be chosen; the first is what it does unasked.
        folder: where files are created.
        content: what the format is to hold besides labels.

    Example:
        A format of your own is a subclass in the entry-point group ``coc_labeling.exporters``.
    """

    name: ClassVar[str]
    takes_components: ClassVar[bool] = False
    images: ClassVar[tuple[Images, ...]] = ()

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        self.folder, self.content = folder, content

    @classmethod
    def needs(cls, content: Content) -> frozenset[Need]:
        """Return what the format needs of the recordings: rows come with a ``scene`` that holds it."""
        return frozenset()

    @classmethod
    def pictures_in(cls, content: Content) -> str:
        """Return the folder of the export where frames lie as JPEG files.

        One whose name begins with a dot is deleted when the export is complete.
        """
        return "images"

    def reason_against(self, row: ExportRow) -> str | None:
        """Return why a label cannot be told in this format, in words to count by; None where it can.

        The row has no scene yet.
        """
        return None

    @abstractmethod
    def add(self, row: ExportRow) -> None:
        """Add a label."""

    @abstractmethod
    def close(self) -> None:
        """Write what is held and close all files; called once, after an error as well."""

    def finish(self, splits: Sequence[str]) -> None:  # noqa: B027 - most formats have nothing to write then
        """Write what needs all labels of all splits to be known; called before ``close``, but not after an error."""

    @abstractmethod
    def data_files(self) -> dict[str, str]:
        """Return the file, or pattern of files, of each split, as the ``datasets`` library is to find them.

        An undivided file has one name for all.
        """

    def columns(self) -> Sequence[Column]:
        """Return the columns of a format whose files do not tell their types, for the card; none where they do.

        Called when all labels are added.
        """
        return ()
