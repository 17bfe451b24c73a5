"""What occurs in more than one split, and so lets a model be tested on what it was trained on."""

from collections.abc import Sequence

from coc_labeling.export.places import Places
from coc_labeling.export.repeats import Neighbours, Repeats, path_key, text_key
from coc_labeling.export.rows import ExportRow


class Leakage:
    """Drives, texts, paths and places in more than one split.

    Memory grows with the number of drives by their names, with that of labels and clips by a few bytes each.

    Attributes:
        drives: the first split of every drive.
        clips: how many clips tell their drive.
        leaking: the drives with clips in more than one split.
        texts: labels by what they say.
        paths: labels by ego's path around their keyframe, where it is known and ego moves.
        neighbours: clips by where and when they were recorded, where that is known.
    """

    def __init__(self, splits: Sequence[str], places: Places) -> None:
        self._numbers = {split: number for number, split in enumerate(splits)}
        self._places = places
        self.drives: dict[str, str] = {}
        self.clips = 0
        self.leaking: set[str] = set()
        self.texts, self.paths, self.neighbours = Repeats(), Repeats(), Neighbours()

    def add_clip(self, row: ExportRow) -> None:
        """Take a new clip."""
        place = self._places.of(row.clip_id)
        if place is not None:
            self.neighbours.add(place, self._numbers[row.split])
        if row.drive is None:
            return
        self.clips += 1
        if self.drives.setdefault(row.drive, row.split) != row.split:
            self.leaking.add(row.drive)

    def add_label(self, row: ExportRow) -> None:
        """Take a label."""
        self.texts.add(text_key(row), self._numbers[row.split])
        path = path_key(row.scene.drive) if row.scene.drive is not None else None
        if path is not None:
            self.paths.add(path, self._numbers[row.split])
