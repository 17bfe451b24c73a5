"""The meta-actions of a clip: as Step 1 has written them, else made from its ego motion."""

import threading
from functools import cached_property

from coc_labeling.report.clips import READING_FAULTS
from driving_clips import files
from driving_clips.ego_motion import EgoMotion
from meta_action.errors import MetaActionError
from meta_action.labeling import label_motions
from meta_action.reading import TABLE, read_spans
from meta_action.timeline import Timeline, from_text, timeline
from meta_action.timeline_table import SPANS_SCHEMA, TimelineTable


class MetaActions:
    """Results of Step 1."""

    def __init__(self, folder: str | None) -> None:
        """Read from a folder of texts; None where the run has none."""
        self._folder = folder
        self._reading = threading.Lock()

    def of_clip(self, clip_id: str, ego: EgoMotion) -> tuple[Timeline, str]:
        """Return a clip's meta-actions, and a note where they are made from its ego motion though there is a folder.

        ``clip_id`` must be one that a file may have.
        """
        note = ""
        if self._folder is not None:
            try:
                found = self._read(self._folder, clip_id)
                if found is not None:
                    return found, ""
                note = f"No meta-actions of this clip in {self._folder}: they are made from its ego motion."
            except (MetaActionError, *READING_FAULTS) as error:
                note = f"Meta-actions are made from ego motion: {error}"
        return timeline(clip_id, label_motions([ego])[0]), note

    def _read(self, folder: str, clip_id: str) -> Timeline | None:
        path = files.join(folder, f"{clip_id}.txt")
        if files.is_file(path):  # one small file, where the table may be of 300,000 clips
            return from_text(clip_id, files.read_text(path), path)
        with self._reading:
            return self._table.get(clip_id)

    @cached_property
    def _table(self) -> TimelineTable:
        folder = str(self._folder)
        there = any(files.is_file(files.join(place, TABLE)) for place in (folder, files.join(folder, "..")))
        return TimelineTable(read_spans(folder) if there else SPANS_SCHEMA.empty_table())
