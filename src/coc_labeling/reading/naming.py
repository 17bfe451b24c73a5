"""Nouns of a sentence: which are causes, which are places, and how each stands to ego."""

from coc_labeling.schema import Category, Relation

from .building import Deed, Role, Thing
from .nouns import EGO, Noun
from .phrases import Phrase, read_phrase
from .reading import State, UserClass
from .state import EGO_SUBJECT, INTO, NOBODY, ONCOMING, OTHER_LANE, REASON_WORDS, STOPS, Walk
from .tokens import VERB_FORMS, meaning_of
from .verbs import ACTS, Kind
from .words import AUXILIARIES, CONJUNCTIONS, HARMLESS, Effect, word_set

_OURS = word_set(
    """
    same ego's car's vehicle's ego our current its own my your
    """
)


def noun_phrase(walk: Walk) -> bool:
    """Read a noun with its descriptions; return False where none begins here."""
    phrase = read_phrase(walk.words, walk.i, walk.prev)
    if phrase is None:
        return False
    prep, walk.prep = walk.prep, ""
    negated = phrase.negated or (prep == "without")
    if prep == "without":
        walk.not_verb = False
    if phrase.head in EGO or _is_ego(walk, phrase):
        return _ego_noun(walk, phrase.end)
    noun = meaning_of(phrase.head)
    assert noun is not None
    if noun.gap or (prep == "with" and _is_part(walk, noun)):
        return _gap(walk, phrase, prep)
    thing = phrase.thing(noun)
    thing.negated, thing.prep = thing.negated or negated, prep
    if (noun.place or noun.junction) and _location(walk, thing, phrase, prep):
        return walk.go_on("place", phrase.end - walk.i)
    _role_of(walk, thing, prep)
    walk.phrase_end = phrase.end
    take(walk, thing)
    return walk.go_on("noun", phrase.end - walk.i)


def _is_part(walk: Walk, noun: Noun) -> bool:
    """Whether a noun after "with" belongs to the road user before it: its lights, its trailer, its stroller."""
    if noun.category is Category.TRAFFIC_LIGHT:
        return True
    owner = walk.owner if isinstance(walk.owner, Thing) else None
    return noun.category is Category.CRITICAL_OBJECT and owner is not None and owner.category is noun.category


def _gap(walk: Walk, phrase: Phrase, prep: str) -> bool:
    """Read a word for a gap or a stop, which is no cause: "wait for a gap", "no room to overtake"."""
    waits = walk.deeds[-1] if walk.deeds and walk.deeds[-1].act.kind is Kind.WAIT else None
    if prep == "for" and waits is not None and phrase.head[0] in {"gap", "opening"}:
        waits.act = ACTS["search", "*", "gap"]
    walk.not_verb = walk.not_verb or phrase.negated
    walk.subject = walk.subject if walk.subject is not None and walk.prev not in {"reason", "time"} else NOBODY
    walk.owner = None
    return walk.go_on("noun", phrase.end - walk.i)


def _is_ego(walk: Walk, phrase: Phrase) -> bool:
    if phrase.head not in {("car",), ("vehicle",), ("driver",), ("truck",), ("suv",)} or phrase.described:
        return False
    nxt = walk.words[phrase.end] if phrase.end < len(walk.words) else ""
    forms = {name for _, name in VERB_FORMS.get(nxt, ())}
    starts = (
        (phrase.definite or phrase.words == [phrase.head[0]])
        and (walk.first_word or (walk.prev == "start" and not any(t.phrase == phrase.head[0] for t in walk.things)))
        and (nxt in AUXILIARIES or bool(forms & {"s", "ed"}) or _adverb_then_verb(walk, phrase.end))
    )
    if starts and walk.role is Role.MAIN:
        walk.third_person = True
        return True
    return walk.third_person and phrase.definite and nxt not in {"ahead", "in", "that", "which", "on", "behind"}


def _adverb_then_verb(walk: Walk, j: int) -> bool:
    while j < len(walk.words) and walk.words[j] in HARMLESS:
        j += 1
    return j < len(walk.words) and bool({name for _, name in VERB_FORMS.get(walk.words[j], ())} & {"s", "ed"})


def _ego_noun(walk: Walk, end: int) -> bool:
    walk.subject, walk.owner = EGO_SUBJECT, None
    return walk.go_on("ego", end - walk.i)


def _role_of(walk: Walk, thing: Thing, prep: str) -> None:
    """Let what stands before a thing say how it stands to ego."""
    behind_ego_s = not isinstance(walk.owner, Thing) or walk.owner.category is not Category.CRITICAL_OBJECT
    if prep == "behind" and thing.is_vehicle and behind_ego_s:
        thing.add(Effect(relation=Relation.LEAD))
    if prep in {"beside", "alongside"}:
        thing.add(Effect(relation=Relation.ADJACENT))
    if (
        prep == "for"
        and walk.deeds
        and walk.deeds[-1].act.kind in {Kind.WAIT, Kind.LETS, Kind.FIXED, Kind.SPEED, Kind.GAP, Kind.STAND}
    ):
        walk.purpose_of = thing if _to_follows(walk) else None
    elif (
        walk.deeds
        and walk.deeds[-1].act.kind is Kind.LETS
        and walk.deeds[-1].words[0].startswith(("let", "allow", "permit", "enabl"))
    ):
        walk.purpose_of = thing


def _to_follows(walk: Walk) -> bool:
    """Whether "for somebody to do" is said: an infinitive before the clause ends."""
    j = walk.i
    for word in walk.words[j : j + 14]:
        if word in STOPS or word == "," or word in REASON_WORDS or word in CONJUNCTIONS:
            return False
        if word == "to":
            return True
    return False


def _location(walk: Walk, thing: Thing, phrase: Phrase, prep: str) -> bool:
    """Take a part of the road as a place, where it is no cause; return whether it was one."""
    words = set(phrase.words)
    prep = "" if prep in {"since", "after", "before", "while", "by"} and walk.prev in {"reason", "time"} else prep
    is_subject = walk.role in {Role.REASON, Role.CONDITION} and walk.prev in {"reason", "time", "rel"}
    starts_clause = walk.prev in {"start", "reason", "time"} or is_subject
    if prep in {"for", "of-cause", "approach"} and not (
        thing.noun.lane and isinstance(walk.owner, Deed) and prep == "approach"
    ):
        return False
    if thing.negated or phrase.clear or phrase.narrow or phrase.closed:
        return False
    if starts_clause and not prep:
        thing.counts = walk.role is Role.REASON and thing.noun.junction
        return False
    if not prep and walk.prev in {"conj", "comma"} and (walk.role is Role.REASON or _is_subject(walk, phrase.end)):
        thing.counts = False
        return False
    owner = walk.owner
    walk.last_place = thing
    if (
        isinstance(owner, Thing)
        and prep in {"into", "onto"}
        and not owner.moves_in
        and not walk.other_moves
        and walk.deeds
    ):
        owner = walk.deeds[-1]
    if isinstance(owner, Thing):
        _locate(walk, owner, thing, words, prep)
    elif isinstance(owner, Deed):
        _aim(walk, owner, thing, words, prep)
    return True


def _is_subject(walk: Walk, end: int) -> bool:
    """Whether a verb follows the phrase that ends here."""
    return end < len(walk.words) and walk.words[end] in AUXILIARIES


def _locate(walk: Walk, owner: Thing, place: Thing, words: set[str], prep: str) -> None:
    into = prep in INTO or prep == ""
    if owner.moves_in and into and (words & _OURS or (walk.third_person and "car" in words)):
        owner.relation = Relation.CUT_IN
        return
    if place.noun.lane and owner.category is Category.CRITICAL_OBJECT and not walk.other_moves.startswith("turn"):
        if words & {"oncoming", "opposite", "opposing"}:
            owner.add(Effect(relation=Relation.ONCOMING))
        elif words & _OURS and prep in {"in", "on", "within"}:
            owner.add(Effect(relation=Relation.LEAD))
        elif prep in {"in", "on", "from"} and (
            place.side is not None or words & {"adjacent", "next", "neighboring", "neighbouring"}
        ):
            owner.add(Effect(relation=Relation.ADJACENT, side=place.side))
    if place.noun.roadside and owner.is_vehicle and State.STOPPED in owner.states:
        owner.relation = Relation.PARKED
    if place.noun.roadside and place.side is not None:
        owner.add(Effect(side=place.side))


def _aim(walk: Walk, deed: Deed, place: Thing, words: set[str], prep: str) -> None:
    if prep in INTO and place.noun.lane:
        deed.to_lane = deed.to_lane or "lane" in words
        deed.out_of_lane = deed.out_of_lane or place.side is not None or bool(words & OTHER_LANE)
        deed.into_oncoming = deed.into_oncoming or bool(words & ONCOMING)
    if place.side is not None and deed.direction is None and (prep in INTO or not prep):
        deed.direction = place.side
        deed.words.append(str(place.side))
    if deed.act.kind is Kind.LEAVE or prep in {"across", "over", "out", "beyond"}:
        deed.out_of_lane = True


def take(walk: Walk, thing: Thing) -> None:
    """Add a thing, or let it be the one that was named before."""
    if walk.prev == "verb2" and thing.user_class is UserClass.ANY and thing.relation is None:
        thing.counts = False  # "who directs traffic"
    if isinstance(walk.subject, Thing) and thing.category is walk.subject.category is Category.ODD_CONSTRAINT:
        return  # "the fog limits visibility" is one condition
    known = next((t for t in walk.things if _same(t, thing)), None)
    if known is not None:
        known.counts = known.counts or thing.counts
        for state in thing.states:
            if state not in known.states:
                known.states.append(state)
        known.side = known.side or thing.side
        known.colour = thing.colour or known.colour
        thing = known
    else:
        walk.things.append(thing)
    clause_start = walk.prev in {"start", "reason", "time", "conj", "comma"} or (
        walk.prev in {"aux", "light"} and walk.subject is None
    )
    if (
        ((walk.role in {Role.REASON, Role.CONDITION} or walk.first_word or walk.prev == "time") and clause_start)
        or walk.prev in {"start", "time"}
        or (clause_start and _is_subject(walk, walk.phrase_end))
    ):
        walk.subject = thing
    elif walk.role is Role.MAIN or walk.role is Role.PURPOSE:
        walk.subject = None if not isinstance(walk.subject, str) else walk.subject
    walk.owner, walk.last_thing, walk.other_moves, walk.not_verb = thing, thing, "", False
    if walk.deeds and walk.role is not Role.CONDITION:
        walk.deeds[-1].things.append(thing)


def _same(one: Thing, other: Thing) -> bool:
    """Whether two mentions are of one thing."""
    if one.category is not other.category or one.negated != other.negated or one.unnamed or other.unnamed:
        return False
    if one.category is Category.CRITICAL_OBJECT and one.user_class is not other.user_class:
        return False
    if one.side is not None and other.side is not None and one.side is not other.side:
        return False
    if one.relation is not other.relation and one.relation is not None and other.relation is not None:
        return False
    if one.category is Category.TRAFFIC_LIGHT and other.side is not None and one.side is not other.side:
        return False
    if one.category is Category.TRAFFIC_LIGHT:
        return one.colour is None or other.colour is None or one.colour is other.colour
    return one.phrase == other.phrase or (one.noun.curve and other.noun.curve)
