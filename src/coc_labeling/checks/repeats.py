"""How often a run says the same: counted once, before labels are checked."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from coc_labeling.checks.base import TextCounts

_NUMBERS = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Repeats:
    """Counts of sentences, by their hashes: they may be a million.

    Attributes:
        same: labels with a sentence.
        clips: different clips with it.
        templates: different clips with it when numbers are left out.
        total_clips: clips with a sentence.
    """

    same: Counter[int]
    clips: Counter[int]
    templates: Counter[int]
    total_clips: int

    def of_clip(self, sentences: Sequence[str | None]) -> list[TextCounts]:
        """Return the counts of each sentence of one clip; None stands for a label without one."""
        plain = [None if sentence is None else _plain(sentence) for sentence in sentences]
        in_clip = Counter(one for one in plain if one is not None)
        return [self._of(one, in_clip[one], in_clip.total()) if one is not None else self._nothing for one in plain]

    def _of(self, plain: str, in_clip: int, clip_labels: int) -> TextCounts:
        own, template = hash(plain), hash(_template(plain))
        counts = self.same[own], self.clips[own], self.templates[template]
        return TextCounts(*counts, self.total_clips, in_clip, clip_labels)

    @property
    def _nothing(self) -> TextCounts:
        return TextCounts(total_clips=self.total_clips)


def count_repeats(labels: pa.Table) -> Repeats:
    """Count the sentences of labels; the rows of a clip stand together."""
    same, clips, templates = Counter[int](), Counter[int](), Counter[int]()
    total, current, seen = 0, None, set[tuple[int, int]]()
    for batch in labels.select(["clip_id", "sentence"]).to_batches():
        for clip_id, sentence in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if sentence is None:
                continue
            if clip_id != current:
                total, current, seen = total + 1, clip_id, set()
            plain = _plain(sentence)
            own, template = hash(plain), hash(_template(plain))
            same[own] += 1
            if (0, own) not in seen:
                clips[own] += 1
            if (1, template) not in seen:
                templates[template] += 1
            seen |= {(0, own), (1, template)}
    return Repeats(same, clips, templates, total)


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split()).rstrip(".!")


def _template(plain: str) -> str:
    return _NUMBERS.sub("#", plain)
