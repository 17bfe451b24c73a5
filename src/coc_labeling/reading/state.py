"""Where a walk through a sentence stands."""

from .building import Deed, Role, Thing
from .tokens import VERB_FORMS
from .words import HARMLESS

EGO_SUBJECT = "ego"
NOBODY = "nobody"
STOPS = frozenset(".;!?")
INTO = frozenset({"to", "into", "onto", "toward", "towards"})
ONCOMING = frozenset({"oncoming", "opposite", "opposing"})
OTHER_LANE = frozenset({"oncoming", "opposite", "opposing", "adjacent", "neighboring", "neighbouring", "next", "other"})
AFTER_NOUN = frozenset({"noun", "place", "ego"})
REASON_WORDS = frozenset({"because", "since", "as", "given"})


class Walk:
    """One pass over the words of a text: what was collected so far, and what the next word is to be read with.

    Attributes:
        i: the next word.
        deeds, things, unread: what was collected.
        part: of the deeds to come: 0 for what ego does first.
        third_person: the text calls ego "the car".
        role: what the clause is there for.
        subject: of the clause: ego, a thing, or somebody who is not kept.
        owner: what a side or place is said of: the last deed, or the last thing.
        prev: kind of what came before, adverbs left out; it tells what may follow.
        prep: the preposition before the next noun.
        not_verb, tentative: what was said of the next verb: "not", "prepare to".
        last_verb: who did what last, and in which form; ego_form: the form of ego's last verb.
        other_moves: the verb of somebody else, whose side would be no place.
        purpose_of: whose aim the next infinitive is, where it is not ego's ("wait for somebody to ...").
        awaited: what is said is not yet so ("until ...").
        earlier: how many of the things were named before what comes later: a part that follows, or a condition of it.
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.i = 0
        self.deeds: list[Deed] = []
        self.things: list[Thing] = []
        self.unread: list[str] = []
        self.third_person = False
        self.part = self.phrase_end = 0
        self.begin_sentence()

    def begin_sentence(self) -> None:
        """Forget the clause; what was collected stays."""
        self.role = Role.MAIN
        self.subject: Thing | str | None = None
        self.owner: Thing | Deed | None = None
        self.last_thing: Thing | None = None
        self.prev = "start"
        self.prep = ""
        self.not_verb = False
        self.tentative = False
        self.last_verb: tuple[Thing | str, str] | None = None
        self.ego_form = ""
        self.other_moves = ""
        self.shift_back: int | None = None
        self.in_condition = self.awaited = self.is_state = False
        self.to_serves, self.light_serves = True, False
        self.purpose_of: Thing | None = None
        self.first_word = True
        self.last_place: Thing | None = None
        self.earlier = 0
        self.deeds_before = len(self.deeds)

    def go_on(self, prev: str | None = None, count: int = 1) -> bool:
        """Go on by some words, which were of a kind, or leave the kind as it was; always True."""
        self.i += count
        if prev is not None:
            self.prev = prev
        return True

    def ahead(self, offset: int) -> str:
        """Return the word so far ahead, or nothing after the last."""
        j = self.i + offset
        return self.words[j] if j < len(self.words) else ""

    def skip_adverbs(self, offset: int) -> int:
        """Return the offset of the next word that carries meaning."""
        while self.ahead(offset) in HARMLESS and self.ahead(offset) not in VERB_FORMS:
            offset += 1
        return offset

    def awaits(self, thing: Thing) -> bool:
        """Say whether what is said of a thing is not so yet: it is waited for, or a light has another colour now."""
        if self.role is Role.CONDITION and (self.awaited or self.part > 0):
            return True
        if self.purpose_of is thing:
            return True
        return thing.colour is not None and any(known is thing for known in self.things[: self.earlier])

    def comes_later(self) -> None:
        """Note that what follows is about a later time: lights named so far keep the colour that they have now."""
        self.earlier = len(self.things)
