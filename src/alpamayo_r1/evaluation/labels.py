"""Labels of a run, looked up by the moments that were predicted."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alpamayo_r1.evaluation.sentences import KEEP_LANE, Decisions, decided_by_sentence, read
from coc_labeling.agreement.decided import Channel, Decided, State
from coc_labeling.agreement.runs import RunSide
from driving_clips import files

NEAR_US = 500_000  # a label whose keyframe is within half a second of t0 is about the same decision


@dataclass(frozen=True)
class Labels:
    """What a run's labels decide, by moment.

    Attributes:
        side: the run.
        decided: all its moments as columns.
        notices: on records that could not be read.
    """

    side: RunSide
    decided: Decided
    notices: tuple[str, ...]
    _rows: dict[str, NDArray[np.intp]] = field(repr=False)

    def at(self, clip_id: str, t0_us: int) -> Decisions | None:
        """Return what the label nearest to a moment decides; None without one in half a second, or an abstention."""
        rows = self._rows.get(clip_id)
        if rows is None:
            return None
        apart = np.abs(self.decided.t_us[rows] - t0_us)
        row = int(rows[apart.argmin()])
        if apart.min() > NEAR_US:
            return None
        state = self.decided.state[row]
        if state == State.WITHOUT_DECISIONS:
            moment = self.decided.moment(row)
            text = self.side.sentences([moment]).get(moment)
            return None if text is None else decided_by_sentence(read(text))
        if state != State.DECIDED:
            return None
        own = self.decided
        speed, lane = (int(own.decision[channel][row]) for channel in Channel)
        return Decisions(speed, lane or KEEP_LANE, int(own.direction[row]))  # no decision on the lane keeps it


def read_labels(run_dir: str) -> Labels:
    """Read the labels of an experiment folder; raises CocLabelingError where there are none."""
    side = RunSide(run_dir, files.base_name(files.absolute(run_dir)))
    decided, notices = side.decided()
    order = np.argsort(decided.clip, kind="stable")
    first = np.searchsorted(decided.clip[order], np.arange(len(decided.clips) + 1))
    rows = {clip: order[first[number] : first[number + 1]] for number, clip in enumerate(decided.clips)}
    return Labels(side, decided, tuple(notices), rows)
