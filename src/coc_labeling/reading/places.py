"""Where something is: "on the right", "ahead", "in front of ego"."""

from coc_labeling.schema import LateralDecision, Relation, Side

from .building import Deed, Thing
from .state import Walk
from .tokens import VERB_FORMS, noun_at
from .words import ADJECTIVES, DETERMINERS, EGO_PRONOUNS, SIDES, Effect

_TAKES_PLACE = frozenset({LateralDecision.SPLIT, LateralDecision.PULL_OVER})


def place_phrase(walk: Walk, word: str) -> bool:
    """Read "on the right", "to ego's left", "ahead", "in front of ego"."""
    if word == "ahead" or (word == "in" and walk.ahead(1) == "front"):
        return _in_front(walk, word)
    j = 0
    if word in {"on", "to", "from", "at", "by", "off", "toward", "towards"}:
        j = 1
        while walk.ahead(j) in DETERMINERS or walk.ahead(j) in {"far", "near", "immediate", "ego's", "car's"}:
            j += 1
    if not j or walk.ahead(j) not in SIDES:
        return False
    side = SIDES[walk.ahead(j)]
    end = j + 1
    hand = False
    while walk.ahead(end) in {"side", "hand", "edge"}:
        hand, end = True, end + 1
    if not hand and _continues_noun(walk, end):
        return False
    if walk.ahead(end) == "of" and not hand:
        return False
    to_side(walk, side, moving=word in {"to", "toward", "towards", "off"})
    return walk.go_on("place", end)


def _continues_noun(walk: Walk, offset: int) -> bool:
    j = walk.i + offset
    if j >= len(walk.words) or walk.purpose_of is not None:
        return False
    word = walk.words[j]
    if noun_at(walk.words, j):
        form = [name for _, name in VERB_FORMS.get(word, ())]
        return not form or "base" in form or word.endswith("s")
    return word in ADJECTIVES and word not in SIDES


def _in_front(walk: Walk, word: str) -> bool:
    count = 1 if word == "ahead" else 2
    if walk.ahead(count) == "of":
        after = walk.ahead(count + 1)
        skip = count + 2
        if after in DETERMINERS and walk.ahead(count + 2) in {"ego", "car", "vehicle"}:
            after, skip = "ego", count + 3
        if after in EGO_PRONOUNS | {"it", "ego"}:
            count = skip + (1 if after == "ego" and walk.ahead(skip) in {"vehicle", "car"} else 0)
        elif not isinstance(walk.owner, Thing):
            walk.prep = "ahead of"
            return walk.go_on("prep", count + 1)
        else:
            count += 1
            walk.prep = "of"
            return walk.go_on("prep", count)
    thing = walk.owner if isinstance(walk.owner, Thing) else None
    if thing is None and isinstance(walk.subject, Thing):
        thing = walk.subject
    if thing is not None and not thing.noun.place:
        thing.add(Effect(relation=Relation.LEAD))
        thing.words.append("ahead")
    return walk.go_on("place", count)


def to_side(walk: Walk, side: Side, *, moving: bool) -> None:
    """Give a side to what it belongs to: to ego's deed where ego moves there, else to the thing that was named last."""
    owner = walk.owner
    if isinstance(owner, Deed):
        takes = moving or owner.act.decision in _TAKES_PLACE
        if takes and owner.direction is None and not walk.other_moves:
            owner.direction = side
            owner.words.append(str(side))
    elif owner is not None and owner.side is None and not (walk.other_moves and moving and not owner.curved):
        owner.side = side
