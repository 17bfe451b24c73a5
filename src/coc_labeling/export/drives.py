"""Which drive a clip was cut from, as far as its dataset tells."""

import re

from driving_clips import registry
from driving_clips.datasets import DATASETS, ENTRY_POINTS
from driving_clips.datasets.base import is_cut, recording_of

# comma2k19 numbers the minutes of a route: <dongle>_<date>--<time>_<minute>, https://github.com/commaai/comma2k19
_SEGMENT = re.compile(r"(.+)_[0-9]{1,6}")


class Drives:
    """Tells the drive of a dataset's clips by their ids.

    Attributes:
        are_known: whether clips of this dataset tell their drive at all.
    """

    def __init__(self, dataset_name: str) -> None:
        known = dataset_name in registry.names(DATASETS, ENTRY_POINTS)
        dataset = registry.look_up("dataset", dataset_name, DATASETS, ENTRY_POINTS) if known else None
        self.are_known = bool(dataset is not None and dataset.cuts_recordings)
        self._has_segments = dataset_name == "comma2k19"

    def drive_of(self, clip_id: str) -> str | None:
        """Return the drive, or the recording where that is all that is known; None where nothing is.

        Example:
            >>> Drives("comma2k19").drive_of("b0c9d2329ad1606b_2018-08-02--08-34-47_40-0")
            'b0c9d2329ad1606b_2018-08-02--08-34-47'
        """
        if not self.are_known or not is_cut(clip_id):
            return None
        recording = recording_of(clip_id)
        segment = _SEGMENT.fullmatch(recording) if self._has_segments else None
        return segment[1] if segment else recording
