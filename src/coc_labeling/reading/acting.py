"""Verbs of a sentence: who acts, and what that says.

Grammar alone tells: an imperative's verb is ego's, a verb after a noun is the noun's, an infinitive tells ego's purpose
unless ego waits for somebody or lets somebody do it, and verbs that "and" joins share their form.
"""

from coc_labeling.schema import Relation

from .building import Deed, Role, Thing
from .others import SAYS_OF_OTHERS
from .reading import State
from .state import AFTER_NOUN, EGO_SUBJECT, NOBODY, ONCOMING, OTHER_LANE, Walk
from .tokens import VERB_FORMS, act_at, noun_at, singular
from .verbs import ACTS, Act, Kind
from .words import ADJECTIVES, AUXILIARIES, HARMLESS, PREPOSITIONS, SIDES, Effect, word_set

_HALTS = frozenset({"stop", "halt", "standstill"})
_OWN_AIMS = frozenset({"cross", "turn", "merge", "stop", "park", "enter", "exit", "leave", "pull"})
_COLOURS = frozenset({"red", "green", "yellow", "amber"})
_BENDING = frozenset({"curve", "bend", "wind", "turn", "veer", "sweep", "curv"})
_CUTTING = word_set(
    """
    merge cut encroach drift swerve move shift change pull enter veer steer come nudge
    """
)
_NP_FIRST = word_set(
    """
    slow clear open lead narrow close cross free parked stopped block park
    """
)
_VERB_AFTER = word_set(
    """
    start comma to conj pron aux rel noun place ego time not light without
    """
)
_PLURALS = frozenset({"people", "children", "men", "women", "cattle", "sheep", "deer", "crossroads"})


def infinitive(walk: Walk) -> bool:
    """Read "to" before a verb; return False where it is a preposition."""
    j = walk.skip_adverbs(1)
    word = walk.ahead(j)
    forms = [name for _, name in VERB_FORMS.get(word, ())]
    if "base" not in forms:
        return False
    found = noun_at(walk.words, walk.i + j)
    if found and len(found[0]) > 1 and word not in {"turn", "pass", "cut", "merge"}:
        return False
    if word in {"right", "left"} or (
        found and singular(word) in {"traffic", "stop"} and walk.ahead(j + 1) in {"sign", "line"}
    ):
        return False
    if walk.prev == "verb2" and isinstance(walk.owner, Thing) and _OWN_AIMS & {verb for verb, _ in VERB_FORMS[word]}:
        walk.purpose_of = walk.owner
    walk.to_serves = walk.prev != "light" or walk.light_serves
    return walk.go_on("to", j)


def prefers_noun(walk: Walk, word: str) -> bool:
    """Say whether a word that may be a verb is better tried as (part of) a noun first: "slow traffic"."""
    if word not in VERB_FORMS:
        return False
    nxt = walk.ahead(1)
    forms = {name for _, name in VERB_FORMS[word]}
    if walk.prev in {"start", "comma", "conj", "aux", "rel", "not"} and word in _NP_FIRST and walk.prev != "aux":
        return bool(nxt) and (_starts_noun(walk, 1) or nxt in ADJECTIVES) and nxt not in {"down"}
    found = noun_at(walk.words, walk.i)
    if found and found[0] == ("lane", "change"):
        return False
    if found and walk.prev == "start" and found[0][-1] in {"curve", "bend"}:
        return True
    if found and len(found[0]) > 1 and walk.prev in {"start", "comma", "conj", "reason"}:
        return word not in {"merge", "pass", "turn"} or walk.prev == "reason"
    if walk.prev in {"prep", "reason"}:
        return True
    return bool(walk.prev == "time" and forms == {"ed"})


def _starts_noun(walk: Walk, offset: int) -> bool:
    return walk.i + offset < len(walk.words) and noun_at(walk.words, walk.i + offset) is not None


def verb_position(walk: Walk, word: str) -> bool:
    """Say whether a verb may stand here, and the word is one."""
    if word not in VERB_FORMS or word in AUXILIARIES or _is_predicate(walk, word):
        return False
    if walk.prev in _VERB_AFTER or (walk.prev == "verb2" and word.endswith("ing")):
        return True
    if walk.prev == "verb" and isinstance(walk.owner, Deed) and word.endswith("ing"):
        return True
    return walk.prev in {"prep", "reason"} and word.endswith("ing")


def _is_predicate(walk: Walk, word: str) -> bool:
    return walk.prev == "aux" and walk.is_state and word in ADJECTIVES and walk.subject != EGO_SUBJECT


def verb(walk: Walk) -> bool:
    """Read a verb with its phrase; return False where it is none after all."""
    word = walk.words[walk.i]
    forms = [name for _, name in VERB_FORMS[word]]
    if walk.prev in AFTER_NOUN and "base" in forms and not _base_follows_noun(walk, word):
        return False
    who = _actor(walk, word, forms)
    if who == NOBODY:
        walk.last_verb = (NOBODY, forms[0])
        return _other_nothing(walk, word)
    if who == EGO_SUBJECT:
        return _ego_verb(walk, forms)
    assert isinstance(who, Thing)
    return _other_verb(walk, who, word, forms)


def _base_follows_noun(walk: Walk, word: str) -> bool:
    """Whether a base form after a noun is its verb: of several, or of whom ego lets or waits for."""
    thing = walk.last_thing
    if walk.prev == "ego" or word == "cut":
        return True
    if walk.purpose_of is not None or (walk.deeds and walk.deeds[-1].act.kind is Kind.LETS):
        return True
    if thing is None or not noun_at(walk.words, walk.i):
        return True
    return bool(thing.words) and (thing.words[-1].endswith("s") or thing.words[-1] in _PLURALS | {"ahead", "traffic"})


def _actor(walk: Walk, word: str, forms: list[str]) -> Thing | str:
    prev, subject = walk.prev, walk.subject
    if prev == "to":
        return _actor_of_infinitive(walk)
    if prev in {"aux", "not", "pron", "light"} and subject is not None:
        return subject
    if prev == "verb2":
        return walk.last_verb[0] if walk.last_verb is not None else NOBODY
    if prev == "rel":
        return walk.last_thing or NOBODY
    if prev == "ego":
        return EGO_SUBJECT
    if prev in AFTER_NOUN:
        return _actor_after_noun(walk, forms)
    if prev in {"conj", "comma"}:
        return _actor_of_joined(walk, forms)
    if prev == "aux" and walk.role is Role.MAIN and subject is None:
        return EGO_SUBJECT
    if walk.role is Role.REASON and prev in {"reason"} and subject is None:
        return EGO_SUBJECT
    return EGO_SUBJECT


def _actor_after_noun(walk: Walk, forms: list[str]) -> Thing | str:
    if isinstance(walk.subject, Thing):
        if walk.prev == "noun" and walk.last_thing is not None and "ed" not in forms:
            return walk.last_thing if walk.last_thing is not walk.subject and "ing" in forms else walk.subject
        return walk.subject
    if isinstance(walk.owner, Deed) and walk.prev == "place":
        return EGO_SUBJECT
    if walk.subject == NOBODY:
        return NOBODY
    return walk.last_thing or (EGO_SUBJECT if walk.prev == "place" else NOBODY)


def _actor_of_infinitive(walk: Walk) -> Thing | str:
    if walk.purpose_of is not None:
        return walk.purpose_of
    if walk.role is Role.REASON and isinstance(walk.subject, Thing):
        return walk.subject
    if walk.role is Role.CONDITION:
        return NOBODY
    last = walk.deeds[-1] if walk.deeds else None
    if last is not None and last.act.kind is Kind.LETS and last.act.decision and isinstance(walk.owner, Thing):
        return (
            walk.owner if last.words and last.words[0].startswith(("allow", "permit", "enabl", "let")) else EGO_SUBJECT
        )
    return EGO_SUBJECT


def _actor_of_joined(walk: Walk, forms: list[str]) -> Thing | str:
    if walk.last_verb is not None and walk.last_verb[1] in forms and walk.last_verb[0] != EGO_SUBJECT:
        return walk.last_verb[0]
    if walk.ego_form and walk.ego_form in forms:
        return EGO_SUBJECT
    if walk.last_verb is not None and walk.last_verb[0] != EGO_SUBJECT and walk.prev == "conj":
        return EGO_SUBJECT if "base" in forms and walk.ego_form == "base" else walk.last_verb[0]
    if walk.role in {Role.REASON, Role.CONDITION} and isinstance(walk.subject, Thing):
        return walk.subject
    return EGO_SUBJECT


def _ego_verb(walk: Walk, forms: list[str]) -> bool:
    found = act_at(walk.words, walk.i)
    word = walk.words[walk.i]
    if found is None:
        if word not in VERB_FORMS:
            return False
        walk.owner = None
        return walk.go_on("light")
    act, end, form = found
    standing = _standing_state(walk, word, form)
    if standing:
        act, end = standing, walk.i + 1
    if walk.words[end - 2 : end] == ["speed", "limit"]:
        end -= 2  # it is a cause as well
    span = walk.words[walk.i : end]
    if act.kind is Kind.LIGHT:
        return _light(walk, word, end)
    if walk.in_condition and walk.role is Role.CONDITION:
        walk.owner, walk.last_verb = None, (EGO_SUBJECT, form)
        return walk.go_on("verb", end - walk.i)
    role = (
        Role.PURPOSE
        if walk.prev == "to" and walk.to_serves and any(d.part == walk.part for d in walk.deeds)
        else walk.role
    )
    deed = Deed(act, role, form, walk.part, walk.not_verb, span, tentative=walk.tentative)
    deed.direction = next((SIDES[w] for w in span if w in SIDES), None)
    deed.out_of_lane = bool(OTHER_LANE & set(span))
    deed.into_oncoming = bool(ONCOMING & set(span))
    walk.deeds.append(deed)
    walk.owner, walk.not_verb, walk.tentative, walk.other_moves = deed, False, False, ""
    walk.last_verb, walk.purpose_of = (EGO_SUBJECT, form), None
    walk.last_thing = None
    if walk.prev != "to":
        walk.ego_form = form
    if walk.role is not Role.REASON:
        walk.subject = EGO_SUBJECT if walk.subject == EGO_SUBJECT else None
    walk.prep = span[-1] if span[-1] in PREPOSITIONS else ""
    return walk.go_on("verb", end - walk.i)


def leaves(walk: Walk) -> bool:
    """Read "has left", which is no side."""
    if isinstance(walk.subject, Thing):
        walk.subject.add(Effect(gone=True), condition=walk.awaits(walk.subject))
    walk.owner = None
    return walk.go_on("verb2")


def _standing_state(walk: Walk, word: str, form: str) -> Act | None:
    """Read "is stopped" of ego: it stands."""
    stands = walk.prev == "aux" and form == "ed" and word in {"stopped", "halted", "parked", "stuck"}
    return ACTS[("stand",)] if stands else None


def _light(walk: Walk, word: str, end: int) -> bool:
    walk.light_serves = walk.prev == "to"
    verbs = {verb for verb, _ in VERB_FORMS[word]}
    if verbs & {"prepare", "plan", "intend", "attempt", "try", "get", "ready"}:
        walk.tentative = True
    if verbs & {"avoid", "prevent"}:
        walk.not_verb = True
    if verbs & {"approach", "reach", "encounter", "near", "negotiate", "handle", "take", "round"}:
        walk.prep = "approach"
    if not walk.ego_form and walk.prev in {"start", "ego", "aux"}:
        walk.ego_form = VERB_FORMS[word][0][1]
    if not verbs & {"begin", "start", "continue", "keep", "stay", "remain"}:
        walk.owner = None
    return walk.go_on("light", end - walk.i)


def _other_verb(walk: Walk, thing: Thing, word: str, forms: list[str]) -> bool:
    verbs = [verb for verb, _ in VERB_FORMS[word]]
    walk.last_verb = (thing, next((f for f in forms if f != "base"), forms[0]))
    if walk.prev == "aux" and "ing" in forms:
        walk.last_verb = (thing, "ing")
    walk.owner = thing
    walk.other_moves = verbs[0]
    condition = walk.awaits(thing)
    if not walk.not_verb:
        _say(walk, thing, verbs, condition=condition)
        if "to" in walk.words[walk.i + 1 : walk.i + 3] and _HALTS & set(walk.words[walk.i + 2 : walk.i + 6]):
            thing.add(Effect(state=State.STOPPED))
    if not walk.not_verb and "turn" in verbs and walk.ahead(1) in _COLOURS | {"to"}:
        thing.states = [s for s in thing.states if s is not State.TURNING]
    walk.not_verb = False
    return walk.go_on("verb2")


def _say(walk: Walk, thing: Thing, verbs: list[str], *, condition: bool) -> None:
    if thing.noun.place and _BENDING & set(verbs):
        thing.curved = thing.counts = True
        return
    if thing.noun.place and {
        "end",
        "narrow",
        "merge",
        "close",
        "block",
        "split",
        "taper",
        "widen",
        "drop",
        "diverge",
        "slope",
        "occupy",
        "obstruct",
    } & set(verbs):
        thing.counts = True
        return
    for verb in verbs:
        two = f"{verb} {walk.ahead(1)}"
        effect = SAYS_OF_OTHERS.get(two) or SAYS_OF_OTHERS.get(verb)
        if effect is not None:
            if (effect.state is State.MOVING and thing.states) or (verb == "merge" and thing.relation is Relation.LEAD):
                break
            thing.add(effect, condition=condition)
            break
    if set(verbs) & _CUTTING:
        thing.moves_in = True


def _other_nothing(walk: Walk, word: str) -> bool:
    walk.owner = None
    walk.not_verb = False
    return walk.go_on("verb2")


def late_verb(walk: Walk, word: str) -> bool:
    """Read a verb where none was due: the tables know the word, so it is at least not unread."""
    if word in ADJECTIVES or word in SIDES or word in HARMLESS or word in AUXILIARIES:
        return False
    return walk.go_on("verb2")
