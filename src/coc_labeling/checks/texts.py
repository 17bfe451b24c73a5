"""Checks of the text: whether there is one that can be read, agrees with the structure, and is not the only one."""

import re
from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import Case, Check, Finding, TextCounts, Verdict
from coc_labeling.reading import differences

MOST_SHOWN = 5
MANY_CLIPS, LARGE_SHARE, LARGER_SHARE = 10, 0.2, 0.4
# A run of fewer clips, and one clip, need more: many labels with one sentence, and a larger share of all.
FEW_CLIPS, SOME_CLIPS, MANY_LABELS = 20, 5, 10
MANY_MOMENTS, HALF = 5, 0.5
DIFFERENCE_SEVERITY = {"direction": 0.5, "side": 0.4, "decision": 0.3, "motion": 0.4, "colour": 0.4}
_GUESS = re.compile(
    r"\b(?:might|may|could|(?:un)?likely|possibl[ey]|potential(?:ly)?|probably|perhaps|seems?|appears? to)\b"
)


class AbstentionCheck(Check):
    """A record without a label says why."""

    name = "abstention"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield one finding for an abstention."""
        if case.label.abstention is not None:
            reason = case.label.abstention.reason
            yield self.not_observable(reason.replace("_", " "), f"there is no label: {case.label.abstention.detail}")


class ReadableCheck(Check):
    """The sentence is whole, and it can be read."""

    name = "readable"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for a damaged sentence, one that says nothing of driving, and words not understood."""
        if case.label.abstention is not None:
            return
        about = "the sentence"
        if case.reading.garbled:
            reason = f"it looks damaged: {'; '.join(case.reading.garbled[:MOST_SHOWN])}"
            yield self.contradicted(about, reason, 0.75)
        elif not case.reading.decisions and not case.reading.causes:
            yield self.contradicted(about, "no decision and no cause can be read in it", 0.4)
        elif case.reading.unread:
            words = ", ".join(case.reading.unread[:MOST_SHOWN])
            yield self.not_observable(about, f"not understood: {words}", unread_words=len(case.reading.unread))
        else:
            yield self.supported(about, "all of it was read", frozenset())


class StructureCheck(Check):
    """A structured label and its sentence say the same."""

    name = "structure"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each thing on which they disagree."""
        if case.label.longitudinal is None and case.label.lateral is None:
            return
        found = differences(case.label, case.reading)
        for difference in found:
            severity = DIFFERENCE_SEVERITY.get(difference.what, 0.3)
            yield self.contradicted(difference.what, f"structure and sentence differ: {difference}", severity)
        if not found and case.reading.decisions:
            yield self.supported("the sentence", "it says what the structure says", frozenset())


class WordingCheck(Check):
    """A label states facts, and guesses nothing."""

    name = "wording"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for words of guessing."""
        guesses = list(dict.fromkeys(_GUESS.findall((case.label.effect_on_ego_behavior or "")[:2000].lower())))
        if guesses:
            reason = f"it guesses: {', '.join(guesses[:MOST_SHOWN])}"
            yield self.contradicted("the sentence", reason, 0.1)


class RepetitionCheck(Check):
    """A sentence that an implausible share of a run's clips has, or of a clip's moments, says little of any of them."""

    name = "repetition"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for a sentence that many clips have, word for word or but for its numbers, or its clip."""
        if case.by_rules or case.label.abstention is not None:
            return
        repeated = _among_clips(case.texts) or _in_clip(case.texts)
        if repeated is not None:
            reason, share, numbers = repeated
            severity = 0.3 if share >= LARGER_SHARE else 0.15
            yield Finding(self.name, Verdict.NOT_OBSERVABLE, "the sentence", reason, numbers, severity=severity)


_Repeated = tuple[str, float, dict[str, float]]  # the reason, the share, numbers


def _among_clips(texts: TextCounts) -> _Repeated | None:
    few = texts.total_clips < FEW_CLIPS
    for count, words in ((texts.clips, "word for word"), (texts.templates, "but for its numbers")):
        share = count / texts.total_clips
        many = count >= MANY_CLIPS and share >= LARGE_SHARE
        if few:
            many = count >= SOME_CLIPS and share >= LARGER_SHARE and texts.same >= MANY_LABELS
        if many:
            reason = f"{count} of {texts.total_clips} clips have this sentence, {words}"
            return reason, share, {"clips": float(count), "share": share}
    return None


def _in_clip(texts: TextCounts) -> _Repeated | None:
    share = texts.in_clip / texts.clip_labels
    if texts.in_clip < MANY_MOMENTS or share < HALF:
        return None
    reason = f"{texts.in_clip} of the {texts.clip_labels} moments of this clip have this sentence, word for word"
    return reason, share, {"labels": float(texts.in_clip), "share": share}
