"""Meta-actions from trajectories that are in memory already, in one process."""

from pathlib import Path

import numpy as np

from benchmarks.data import CLIPS_PER_CHUNK, full_motions
from benchmarks.measuring import Row, Scale, spread, time_calls
from meta_action.labeling import label_motions, label_trajectories


def measure(scale: Scale, _folder: Path) -> list[Row]:
    """Label full clips, a chunk at a time as a run does."""
    motions = full_motions(scale.motions)
    batches = [motions[i : i + CLIPS_PER_CHUNK] for i in range(0, len(motions), CLIPS_PER_CHUNK)]
    columns = [
        [np.stack(c) for c in zip(*((*m.xyz.T[:2], m.heading, *m.velocity.T[:2]) for m in batch), strict=True)]
        for batch in batches
    ]
    timed = {
        "label_motions": time_calls(lambda: [label_motions(batch) for batch in batches], scale.repeats),
        "label_trajectories": time_calls(lambda: [label_trajectories(*c) for c in columns], scale.repeats),
    }
    how = f"{scale.motions:,} clips of 201 ticks, {CLIPS_PER_CHUNK} at a time, one process, {scale.repeats} runs"
    return [
        Row(
            f"meta-actions in memory, `{name}`",
            ">= 3,000 clips/s",
            spread([scale.motions / s for s in seconds], "clips/s"),
            how,
        )
        for name, seconds in timed.items()
    ]
