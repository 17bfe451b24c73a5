"""Noun phrases: descriptions and a noun."""

from dataclasses import dataclass, field

from coc_labeling.schema import Relation, Side

from .building import Thing
from .nouns import Noun
from .others import SAYS_OF_OTHERS
from .tokens import VERB_FORMS, meaning_of, noun_at
from .words import ADJECTIVES, DETERMINERS, HARMLESS, SIDES, Effect

MAX_WORDS = 9
_DEFINITE = frozenset({"the", "our", "my", "your", "its", "this"})
_ABSENT = frozenset({"no", "none"})


@dataclass
class Phrase:
    """A noun phrase: its noun, what describes it, and where it ends."""

    head: tuple[str, ...]
    end: int
    words: list[str]
    negated: bool = False
    definite: bool = False
    described: bool = False
    side: Side | None = None
    effects: list[Effect] = field(default_factory=list)

    @property
    def clear(self) -> bool:
        """Whether it is said to be clear."""
        return any(effect.clear for effect in self.effects)

    @property
    def narrow(self) -> bool:
        """Whether it is said to be narrow."""
        return any(effect.narrow for effect in self.effects)

    @property
    def closed(self) -> bool:
        """Whether it is said to be closed or blocked."""
        return any(effect.closed for effect in self.effects)

    def thing(self, noun: Noun) -> Thing:
        """Return the cause in the making."""
        thing = Thing(
            noun, " ".join(self.head), noun.category, noun.user_class, noun.relation, self.side, words=self.words
        )
        thing.colour = noun.colour
        thing.negated = self.negated
        if noun.state is not None:
            thing.states.append(noun.state)
        for effect in self.effects:
            thing.add(effect)
        return thing


def read_phrase(words: list[str], start: int, prev: str) -> Phrase | None:
    """Return the noun phrase that begins at a word, or None."""
    phrase = Phrase((), start, [])
    j = start
    while j < len(words) and j - start < MAX_WORDS:
        word = words[j]
        found = noun_at(words, j)
        if found is not None and not _describes(words, j, found[1]):
            phrase.head, phrase.end = found
            phrase.words = words[start : found[1]]
            return phrase
        if not _takes(phrase, word, words, j):
            return None
        j = found[1] if found is not None else j + 1
    return None


def _describes(words: list[str], j: int, end: int) -> bool:
    """Whether a noun only describes the noun after it ("construction truck", "intersection traffic")."""
    if end >= len(words):
        return False
    word = words[end]
    after = noun_at(words, end)
    if after is not None:
        noun = meaning_of(after[0])
        if noun is not None and noun.gap:
            return False
        forms = {name for _, name in VERB_FORMS.get(word, ())}
        return not forms or (
            forms == {"base"}
            and not words[end - 1].endswith("s")
            and word not in {"stop", "turn", "block", "exit", "cut"}
        )
    return words[j] in {"right", "left"} and word in SIDES


def _takes(phrase: Phrase, word: str, words: list[str], j: int) -> bool:
    """Take one word of description; return False where it is none."""
    if word in DETERMINERS:
        phrase.definite = phrase.definite or word in _DEFINITE
        return True
    if word in _ABSENT:
        phrase.negated = True
        return not phrase.described
    if word in SIDES:
        phrase.side = SIDES[word]
    elif word in ADJECTIVES:
        phrase.effects.append(ADJECTIVES[word])
    elif word in VERB_FORMS and (word.endswith(("ing", "ed")) or word in {"slow", "stop"}):
        effect = next((SAYS_OF_OTHERS[v] for v, _ in VERB_FORMS[word] if v in SAYS_OF_OTHERS), None)
        if effect is not None and not (effect.relation is Relation.CUT_IN and word.endswith("ed")):
            phrase.effects.append(Effect(closed=True) if word == "closed" else effect)
    elif not (word in HARMLESS or word[0].isdigit() or noun_at(words, j) is not None):
        return False
    phrase.described = True
    return True
