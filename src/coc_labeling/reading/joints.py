"""Stops, joints and negations: where a clause ends, and what the next one is there for."""

from coc_labeling.schema import Category, Relation

from .building import Deed, Role, Thing
from .naming import take
from .nouns import Noun
from .reading import UserClass
from .state import REASON_WORDS, STOPS, Walk
from .tokens import FUNCTION, act_at
from .verbs import Kind
from .words import CONJUNCTIONS, EGO_PRONOUNS, Effect

_AWAITED = frozenset({"until", "till", "unless"})
_CONDITIONS = frozenset({"until", "till", "once", "when", "whenever", "if", "unless"})
_BEFORE_A_NOUN = {
    ("due", "to"): 2,
    ("because", "of"): 2,
    ("owing", "to"): 2,
    ("thanks", "to"): 2,
    ("given", "that"): 2,
    ("in", "response"): 3,
}
_TIMES = frozenset({"after", "while", "whilst", "before", "although", "though", "by"})


def stop(walk: Walk, word: str) -> bool:
    """Read a stop or comma."""
    if word in STOPS:
        walk.begin_sentence()
        return walk.go_on("start")
    if word in ",:()":
        walk.not_verb = False
        if walk.shift_back is not None:
            walk.part, walk.shift_back = walk.shift_back, None
        leads = walk.in_condition or walk.role is Role.REASON
        if leads and len(walk.deeds) == walk.deeds_before:
            walk.role, walk.in_condition, walk.subject, walk.owner, walk.prep = Role.MAIN, False, None, None, ""
            return walk.go_on("start")
        return walk.go_on("comma")
    return False


def marker(walk: Walk, word: str) -> bool:
    """Read what joins clauses: "because", "then", "before", "until", "without" and their like."""
    nxt = walk.ahead(1)
    if word == "then" or (word in CONJUNCTIONS and nxt == "then") or word in {"afterwards", "subsequently", "later"}:
        return _sequence(walk, 2 if word in CONJUNCTIONS else 1)
    if word == "next" and nxt == "to":
        return _beside(walk, 2)
    if word in {"beside", "alongside"}:
        return _beside(walk, 1)
    if (word, nxt) in {("in", "order"), ("so", "as")}:
        return walk.go_on("comma", 2)
    return _cause(walk, word, nxt) or _time(walk, word) or _refusal(walk, word, nxt)


def _cause(walk: Walk, word: str, nxt: str) -> bool:
    """Read "because", "due to", "so that" and their like."""
    if (word, nxt) in _BEFORE_A_NOUN:
        _reason(walk, "of-cause")
        return walk.go_on("prep", _BEFORE_A_NOUN[word, nxt])
    if (word, nxt) == ("now", "that"):
        _reason(walk, "since")
        return walk.go_on("reason", 2)
    if word == "as" and nxt in {"well", "soon", "needed", "necessary", "usual"}:
        return walk.go_on(count=2)
    if word in REASON_WORDS or (word, nxt) == ("so", "that"):
        _reason(walk, "since")
        return walk.go_on("reason", 2 if word == "so" else 1)
    if word == "so" and (nxt in FUNCTION or walk.prev == "comma"):  # what comes of it
        walk.role, walk.subject, walk.owner, walk.last_verb = Role.MAIN, None, None, None
        return walk.go_on("start")
    return False


def _time(walk: Walk, word: str) -> bool:
    """Read "before", "until", "while" and their like."""
    if word == "before":
        if not walk.deeds or walk.deeds[-1].part > walk.part or walk.first_word:
            walk.shift_back = walk.part
        walk.part += 1
        walk.comes_later()
    elif word in _CONDITIONS:
        walk.role, walk.subject, walk.in_condition = Role.CONDITION, None, True
        walk.last_verb, walk.awaited = None, word in _AWAITED
        walk.comes_later()
        return walk.go_on("time")
    elif word not in _TIMES or (word == "by" and not walk.ahead(1).endswith("ing")):
        return False
    walk.role, walk.subject, walk.in_condition = Role.MAIN, None, word == "after"
    walk.prep = word if word != "before" else ""
    if walk.in_condition:
        walk.comes_later()
    return walk.go_on("time")


def _refusal(walk: Walk, word: str, nxt: str) -> bool:
    """Read "without" and "instead of"."""
    instead = (word, nxt) in {("instead", "of"), ("rather", "than")}
    if not instead and word != "without":
        return False
    walk.not_verb = True
    if instead:
        walk.role = Role.MAIN
        return walk.go_on("without", 2)
    walk.prep = "without"
    return walk.go_on("without")


def _sequence(walk: Walk, count: int) -> bool:
    if walk.deeds:
        walk.part = max(d.part for d in walk.deeds) + 1
        walk.comes_later()
    walk.role, walk.subject, walk.in_condition, walk.owner, walk.last_verb = Role.MAIN, None, False, None, None
    return walk.go_on("start", count)


def _reason(walk: Walk, prep: str) -> None:
    walk.role, walk.subject, walk.prep, walk.owner = Role.REASON, None, prep, None
    walk.last_verb = None
    walk.in_condition = False


def _beside(walk: Walk, count: int) -> bool:
    """Read "next to" and "beside": of ego they say where the thing before is, else where the thing after is."""
    if walk.ahead(count) in EGO_PRONOUNS | {"ego", "it"} and isinstance(walk.owner, Thing):
        walk.owner.add(Effect(relation=Relation.ADJACENT))
        return walk.go_on("place", count + 1)
    if isinstance(walk.owner, Thing) and walk.ahead(count) in {"", ".", ",", "on", "in"}:
        walk.owner.add(Effect(relation=Relation.ADJACENT))
    walk.prep = "beside"
    return walk.go_on("prep", count)


def negation(walk: Walk, word: str) -> bool:
    """Read a negation of a verb; "no" before a noun is left to the noun."""
    nxt = walk.ahead(1)
    if word == "no" and nxt in {"longer"}:
        walk.not_verb = True
        return walk.go_on("not", 2)
    if word == "no" and nxt in {"need", "reason", "intention"}:
        walk.not_verb = True
        return walk.go_on("light", 2)
    if word == "no" and (found := act_at(walk.words, walk.i + 1)) and found[0].kind is Kind.CHANGE:
        act, end, form = found
        walk.deeds.append(Deed(act, walk.role, form, walk.part, True, walk.words[walk.i + 1 : end]))
        return walk.go_on("noun", end - walk.i)
    if word in {"no", "none"}:
        return False
    if word in {"nothing", "nobody"}:
        thing = Thing(Noun(Category.CRITICAL_OBJECT, UserClass.ANY), word, Category.CRITICAL_OBJECT, UserClass.ANY)
        thing.negated, thing.words = True, [word]
        take(walk, thing)
        return walk.go_on("noun")
    walk.not_verb = True
    return walk.go_on("not")
