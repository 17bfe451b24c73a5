"""How much the samples of one scene differ."""

from collections.abc import Hashable, Sequence

import numpy as np

from driving_clips.geometry import Floats


def diversity_measures(xy: Floats, sentences: Sequence[str], decisions: Sequence[Hashable]) -> dict[str, float]:
    """Return how much S samples differ; nothing of one sample alone.

    Args:
        xy: (S, T, 2) m.
        sentences: S of them; case and spacing make no difference.
        decisions: what each sentence decides.
    """
    if len(xy) < 2:
        return {}
    said = {" ".join(text.lower().split()) for text in sentences}
    ends = xy[:, -1]
    first, second = np.triu_indices(len(xy), k=1)
    apart = np.linalg.norm(xy[first] - xy[second], axis=-1).mean(axis=-1)
    return {
        "distinct_sentences": len(said) / len(sentences),
        "distinct_decisions": float(len(set(decisions))),
        "end_spread": float(np.sqrt(((ends - ends.mean(axis=0)) ** 2).sum(axis=-1).mean())),
        "pairwise_ade": float(apart.mean()),
    }
