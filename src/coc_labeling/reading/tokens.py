"""From text to words, and which table a word or phrase is in."""

import re
from collections import defaultdict
from functools import cache

from .nouns import EGO, IRREGULAR_PLURALS, NOUNS, Noun
from .others import OTHER_VERBS, SAYS_OF_OTHERS
from .verbs import ACTS, Act, forms_of
from .words import (
    ADJECTIVES,
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    EGO_PRONOUNS,
    HARMLESS,
    NEGATIONS,
    PREPOSITIONS,
    PRONOUNS,
    RELATIVES,
    SIDES,
    word_set,
)

MAX_GAP = 4

STRAIGHT = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-"})
_CONTRACTED = (
    ("n't", " not"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'ll", " will"),
    ("it's", "it is"),
    ("that's", "that is"),
)
_WORDS = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?(?:m|s|km|mph|kmh)?\b|[.,;:!?()]|[^\s\w'-]|\w")
_ORDINAL = re.compile(r"\d.*")


def words_of(text: str) -> list[str]:
    """Return the words and stops of a text in small letters; hyphens part words, "'s" is dropped."""
    text = (
        text.translate(STRAIGHT)
        .lower()
        .replace("cannot", "can not")
        .replace("can't", "can not")
        .replace("stop-and-go", "stopandgo")
        .replace("stop and go", "stopandgo")
    )
    for short, full in (
        *_CONTRACTED,
        ("broken-down", "disabled"),
        ("broken down", "disabled"),
        ("backed-up", "queued"),
    ):
        text = text.replace(short, full)
    found = _WORDS.findall(text.replace("-", " "))
    bare = [word[:-2] if word.endswith("'s") and word not in DETERMINERS else word for word in found]
    return [_SPELLING.get(word, word) for word in bare]


def _by_first(keys: list[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    grouped: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for key in sorted(keys, key=lambda k: (-sum(word != "*" for word in k), k)):
        grouped[key[0]].append(key)
    return dict(grouped)


_NOUNS_BY_FIRST = _by_first([*NOUNS, *EGO])
_ACTS_BY_FIRST = _by_first(list(ACTS))
_SPELLING = {
    "centre": "center",
    "centred": "centered",
    "neighbouring": "neighboring",
    "manoeuvre": "maneuver",
    "kerb": "curb",
}
_VERBS = (
    {key[0] for key in ACTS if len(key[0]) > 2 or key[0] in {"go", "do", "be"}}
    | {verb.split()[0] for verb in SAYS_OF_OTHERS}
    | {v.split("-")[0] for v in OTHER_VERBS}
)


def _verb_forms() -> dict[str, list[tuple[str, str]]]:
    forms: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for verb in sorted(_VERBS):
        for surface, name in forms_of(verb).items():
            forms[surface].append((verb, name))
    return dict(forms)


VERB_FORMS = _verb_forms()
_PATTERN_WORDS = {word for key in ACTS for word in key}
NOUN_WORDS = {word for key in _NOUNS_BY_FIRST.values() for phrase in key for word in phrase}
FUNCTION = (
    DETERMINERS | AUXILIARIES | PRONOUNS | EGO_PRONOUNS | RELATIVES | CONJUNCTIONS | PREPOSITIONS | NEGATIONS
) | word_set(
    """
    because since as due given owing then before after while until once when if to there so than not
    """
)
SKIPPABLE = (
    DETERMINERS | HARMLESS | frozenset(SIDES) | frozenset(ADJECTIVES) | frozenset({"following", "ego's", "slowing"})
)
SKIPPABLE = SKIPPABLE - word_set(
    """
    speed pace distance gap headway space room lane ahead behind
    """
)


@cache
def singular(word: str) -> str:
    """Return the singular of a noun that the tables know, else the word."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if word in NOUN_WORDS:
        return word
    if word.endswith("s") and word[:-1] in NOUN_WORDS:
        return word[:-1]
    if word.endswith("es") and word[:-2] in NOUN_WORDS:
        return word[:-2]
    if word.endswith("ies") and word[:-3] + "y" in NOUN_WORDS:
        return word[:-3] + "y"
    return word


def noun_at(words: list[str], i: int) -> tuple[tuple[str, ...], int] | None:
    """Return the longest noun phrase of the tables that begins at a word, with where it ends."""
    for phrase in _NOUNS_BY_FIRST.get(singular(words[i]), ()):
        end = i + len(phrase)
        if end <= len(words) and all(singular(w) == p or w == p for w, p in zip(words[i:end], phrase, strict=True)):
            return phrase, end
    return None


def meaning_of(phrase: tuple[str, ...]) -> Noun | None:
    """Return what a noun phrase names; None for ego."""
    return NOUNS.get(phrase)


def act_at(words: list[str], i: int) -> tuple[Act, int, str] | None:
    """Return what the verb at a word says of ego, where its phrase ends, and the form of the verb."""
    best: tuple[Act, int, str] | None = None
    rank = (0, 0)
    for verb, form in VERB_FORMS.get(words[i], ()) if i < len(words) else ():
        for pattern in _ACTS_BY_FIRST.get(verb, ()):
            fixed = len(pattern) - pattern.count("*")
            if fixed < rank[0]:
                break
            end = _end_of(pattern, words, i)
            if end and (fixed, end) > rank:
                best, rank = (ACTS[pattern], end, form), (fixed, end)
    return best


def _end_of(pattern: tuple[str, ...], words: list[str], i: int) -> int:
    j, gap = i + 1, 0
    for part in pattern[1:]:
        if part == "*":
            gap = MAX_GAP
            continue
        while gap and j < len(words) and not _is(words[j], part) and words[j] in SKIPPABLE:
            j, gap = j + 1, gap - 1
        if j >= len(words) or not _is(words[j], part):
            return 0
        j, gap = j + 1, 0
    if pattern[-1] == "stop" and len(pattern) > 1 and j < len(words) and words[j] in {"line", "sign", "bar", "light"}:
        return 0
    return j


@cache
def _is(word: str, part: str) -> bool:
    return word == part or singular(word) == part or any(verb == part for verb, _ in VERB_FORMS.get(word, ()))


@cache
def is_known(word: str) -> bool:
    """Say whether any table has the word."""
    return (
        word in FUNCTION
        or word in HARMLESS
        or word in ADJECTIVES
        or word in SIDES
        or word in VERB_FORMS
        or singular(word) in NOUN_WORDS
        or word in _PATTERN_WORDS
        or word[0].isdigit()
    )


@cache
def vocabulary() -> frozenset[str]:
    """Return the long words of all tables."""
    return frozenset(w for w in {*VERB_FORMS, *NOUN_WORDS, *HARMLESS, *ADJECTIVES, *FUNCTION} if len(w) > 4)
