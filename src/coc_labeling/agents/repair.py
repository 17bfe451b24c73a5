"""A contradicting label, repaired: the decision and its wording may change, causes may not be added."""

import re
from typing import Any

from pydantic import BaseModel

from coc_labeling.agents.answers import (
    RepairAnswer,
    SentenceAnswer,
    UnusableAnswerError,
    not_a_sentence,
    problems_named,
    structured_label,
    to_label,
)
from coc_labeling.model_clients.answers import parse_json
from coc_labeling.schema import CoCLabel

# What a repair may say of itself: decisions, motion, directions and function words, none of which names a thing. A
# list of forbidden causes has no end, so everything else of four letters or more must stand in the first label.
_OWN_WORDS = """
    turn steer follow keep kept maintain slow decelerate deceleration accelerate acceleration brake stop remain
    stopped stationary proceed resume continue change lane nudge shift merge yield wait adapt adjust search split
    abort manoeuvre maneuver overtake pull drive drove move moving movement motion travel cruise creep crawl roll
    coast hold held stay stand standing stood standstill halt start begin began begun finish complete come came
    veer swerve reduce increase speed faster slower pace distance headway spacing space room position direction
    heading trajectory left right straight ahead behind forward backward side lateral laterally longitudinal
    longitudinally sideways leftward rightward within across along around toward towards into onto over away back
    next beside between through past gentle gently strong strongly smooth smoothly slight slightly sharp sharply
    gradual gradually careful carefully steady steadily brief briefly slowly soft softly moderate moderately full
    fully further more less much most little current same constant safe safely safety comfortable comfortably
    lower higher while then before after until once when where during with without from about above below under
    down upon because since thus therefore hence that this these those there here their them they which what both
    each also only just very already again still even ever never always than such some either neither instead
    rather have having does doing been being were will would should must make made take taken taking give given
    need needed allow allowing able enough order time moment second seconds metre metres meter meters shortly soon
    currently response prepare preparing preparation ready avoid avoiding cause caused reason decision decide
    unobserved observed observe throughout entire whole first last later early earlier action meta measured show
    timeline keyframe gives pass approach create match return clearance stable center centre
"""
# Short words that name a cause: they are too many to list what is allowed instead.
_SHORT_CAUSES = """
    car van bus cab suv atv hgv lgv rv ev ox cut red dog cat cow pig elk fox hen ice fog mud wet sun oil box bag bin log
    pit rut dip sag man men boy kid cop jam end arm bar tow rig ram lot bay map key toy hay tar gas way
"""


def repaired_label(label: CoCLabel, content: Any, form: type[BaseModel]) -> CoCLabel:
    """Return the repaired label: the first one's components, as far as they are cited, and never a new cause.

    Raises:
        UnusableAnswerError: no valid label, or a cause that the first label did not name.
    """
    if form is SentenceAnswer:
        after = to_label(content, form)
    else:
        with problems_named():
            answer = RepairAnswer.model_validate(parse_json(content) if isinstance(content, str) else content)
            sentence = " ".join((answer.effect_on_ego_behavior or "").split())
            if (nothing := not_a_sentence(sentence)) is not None and nothing.abstention:
                raise UnusableAnswerError(nothing.abstention.detail)
            after = structured_label(answer, list(label.components), sentence)
        after = _with_cited_components(after).model_copy(update={"emerged_after": label.emerged_after})
    if after.abstention is not None:
        raise UnusableAnswerError(after.abstention.detail)
    if added := _added_causes(label, after):
        raise UnusableAnswerError(f"it names what the first label did not: {', '.join(added)}")
    return after


def _with_cited_components(label: CoCLabel) -> CoCLabel:
    """Return a label with the components that its decisions cite."""
    cited = {c for channel in (label.longitudinal, label.lateral) if channel for c in channel.cause_ids}
    return label.model_copy(update={"components": tuple(c for c in label.components if c.id in cited)})


def _added_causes(before: CoCLabel, after: CoCLabel) -> list[str]:
    """Return the words of a repair that may name a cause and that the label did not say."""
    known = _words(before.effect_on_ego_behavior, before.trace, *(c.description for c in before.components))
    known |= _words(*(f"{c.category} {c.relation or ''} {c.side or ''}".replace("_", " ") for c in before.components))
    named = {form for word in known for form in _forms(word)}
    said = _words(after.effect_on_ego_behavior, after.trace)
    return sorted(word for word in said if not _forms(word) & (named | _OWN_FORMS) and _may_be_a_cause(word))


def _may_be_a_cause(word: str) -> bool:
    return len(word) >= 4 or not word.isascii() or bool(_forms(word) & _SHORT_CAUSE_WORDS)


def _words(*texts: str | None) -> set[str]:
    """Return the words of texts in small letters; "the ego vehicle" is ego and no vehicle."""
    text = " ".join(text or "" for text in texts).lower()
    return set(re.findall(r"[^\W\d_]+", re.sub(r"\bego[ -](?:vehicle|car)\b", "ego", text)))


def _forms(word: str) -> frozenset[str]:
    """Return a word and what it may be the plural, the -ing or the -ed form of."""
    forms = {word}
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e")):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= (2 if ending == "s" else 3):
            forms.add(stem + instead)
            if ending in ("ing", "ed") and stem[-1] == stem[-2]:
                forms.add(stem[:-1])  # stopping
    return frozenset(forms)


_OWN_FORMS = frozenset(_words(_OWN_WORDS))
_SHORT_CAUSE_WORDS = frozenset(_words(_SHORT_CAUSES))
