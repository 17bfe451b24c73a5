"""Walks through a sentence word by word and collects what ego does and what is there."""

from coc_labeling.schema import Category

from .acting import infinitive, late_verb, leaves, prefers_noun, verb, verb_position
from .building import Deed, Thing
from .joints import marker, negation, stop
from .naming import noun_phrase, take
from .nouns import Noun
from .places import place_phrase, to_side
from .state import AFTER_NOUN, EGO_SUBJECT, STOPS, Walk
from .tokens import FUNCTION, VERB_FORMS, is_known
from .words import (
    ADJECTIVES,
    AUXILIARIES,
    CONJUNCTIONS,
    EGO_PRONOUNS,
    HARMLESS,
    NEGATIONS,
    PREPOSITIONS,
    PRONOUNS,
    RELATIVES,
    SIDES,
    Effect,
)

_BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "am"})


def _step(walk: Walk, word: str) -> None:
    if stop(walk, word) or marker(walk, word) or place_phrase(walk, word):
        return
    if word in NEGATIONS and negation(walk, word):
        return
    if word in RELATIVES and (walk.prev in AFTER_NOUN or (walk.prev == "comma" and word != "that" and walk.last_thing)):
        walk.subject = walk.last_thing
        walk.go_on("rel")
        return
    if word == "left" and walk.prev == "aux" and walk.words[walk.i - 1] in {"has", "have", "had"} and leaves(walk):
        return
    if word in HARMLESS and word.endswith("ly"):
        _single(walk, word)
        return
    if word == "to" and infinitive(walk):
        return
    if prefers_noun(walk, word) and noun_phrase(walk):
        return
    if verb_position(walk, word) and verb(walk):
        return
    if noun_phrase(walk):
        return
    if word in VERB_FORMS and late_verb(walk, word):
        return
    _single(walk, word)


def _single(walk: Walk, word: str) -> None:
    if word in PRONOUNS:
        walk.subject = _referred(walk)
        walk.owner = walk.subject if isinstance(walk.subject, Thing) else None
        walk.last_thing = walk.owner if isinstance(walk.owner, Thing) else walk.last_thing
        walk.go_on("pron")
    elif word in EGO_PRONOUNS:
        walk.subject, walk.owner = EGO_SUBJECT, None
        walk.go_on("ego")
    elif word in AUXILIARIES:
        walk.is_state = word in _BE
        walk.go_on("aux")
    elif word in SIDES:
        to_side(walk, SIDES[word], moving=True)
        walk.go_on()
    elif word in ADJECTIVES:
        if walk.prev == "prep" and ADJECTIVES[word].colour is not None:
            _on_colour(walk, word)
        else:
            _predicate(walk, ADJECTIVES[word])
        walk.go_on()
    elif word in CONJUNCTIONS:
        walk.prep = walk.prep if walk.prev == "prep" else ""
        walk.go_on("conj")
    elif word in PREPOSITIONS or word == "to":
        _preposition(walk, word)
    elif word == "slowly" and walk.prev == "verb2" and isinstance(walk.owner, Thing):
        walk.owner.add(ADJECTIVES["slower"])
        walk.go_on()
    elif (
        word in HARMLESS
        or word[0].isdigit()
        or word in FUNCTION
        or word == "/"
        or is_known(word)
        or (len(word) > 4 and word.endswith("ly"))
    ):
        walk.go_on()
    else:
        walk.unread.append(word)
        walk.go_on("unknown")


def _on_colour(walk: Walk, word: str) -> None:
    """Read "turn right on green": a light."""
    if walk.last_thing is not None and walk.last_thing.category is Category.TRAFFIC_LIGHT:
        _predicate(walk, ADJECTIVES[word])  # "it changes from green to yellow"
        return
    thing = Thing(Noun(Category.TRAFFIC_LIGHT), word, Category.TRAFFIC_LIGHT, None, words=[word])
    thing.add(ADJECTIVES[word])
    take(walk, thing)


def _preposition(walk: Walk, word: str) -> None:
    walk.prep = walk.prep if word == "of" and walk.prep else word  # "behind a line of cars"
    deed = walk.owner if isinstance(walk.owner, Deed) else None
    if deed is not None and word in {"out", "off"}:
        deed.out_of_lane = deed.out_of_lane or (word == "out" and walk.ahead(1) == "of")
    walk.go_on("prep")


def _referred(walk: Walk) -> Thing | str:
    candidates = [t for t in walk.things if t.counts and not t.negated]
    objects = [t for t in candidates if t.category is Category.CRITICAL_OBJECT]
    if objects:
        return objects[-1]
    if candidates and not walk.third_person:
        return candidates[-1]
    if walk.last_place is not None and not walk.third_person:
        place, walk.last_place = walk.last_place, None
        place.counts = False
        walk.things.append(place)
        return place
    return EGO_SUBJECT


def _predicate(walk: Walk, effect: Effect) -> None:
    thing = (
        walk.subject
        if isinstance(walk.subject, Thing)
        else walk.owner
        if isinstance(walk.owner, Thing)
        else walk.last_thing
    )
    if effect.weather and (thing is None or walk.subject == EGO_SUBJECT):
        thing = Thing(Noun(Category.ODD_CONSTRAINT), "", Category.ODD_CONSTRAINT, None, words=[walk.words[walk.i]])
        walk.things.append(thing)
        return
    if thing is None:
        return
    condition = walk.awaits(thing)
    if walk.not_verb:
        walk.not_verb = False
        return
    if effect.clear and walk.prev not in {"aux", "verb2", "noun", "place", "light", "conj"}:
        return
    thing.add(effect, condition=condition)


def walk_through(words: list[str]) -> Walk:
    """Read all words of a text and return what was collected."""
    walk = Walk(words)
    while walk.i < len(words):
        word = words[walk.i]
        _step(walk, word)
        walk.first_word = word in STOPS
    return walk
