"""Whether a text looks damaged: cut or glued words, stray tokens, repetitions, fragments, chains that no grammar has.

There is no list of all English words here, and none is needed: damage shows in the shape of words, in the joints of
sentences, and in function words that cannot stand beside each other. A word that is merely rare is no damage.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from .tokens import NOUN_WORDS, STRAIGHT, VERB_FORMS, is_known, singular, vocabulary
from .words import AUXILIARIES, CONJUNCTIONS, DETERMINERS, PRONOUNS, SIDES, word_set

LONG_CHARS = 1_200  # about 200 words, where a sentence of at most 30 is asked for

_TOKEN = re.compile(r"<\|?/?[\w ]{1,30}\|?>|\[/?[A-Z_]{3,20}\]|<\||\|>|\ufffd|```|\\[nrtu]")
_DOUBLED_STOP = re.compile(r"[.,;:!?]\s{0,3}[.,;:]|[.,;:!?]{2}")
_GLUED = re.compile(
    r"(?!Mc|Mac)[A-Za-z]?[a-z][A-Z](?![a-z]?\b)|[a-z][A-Z]\b|\b[A-Z]{2,}[a-z]{2,}|[A-Za-z][.,;!?][A-Za-z]{2}|[a-z][.,;]?\d+[a-z]?"
)
_SYMBOL = re.compile(r"[$_^~={}\\|<>*#@\[\]]|\w-(?:\s|$)|(?:^|\s)-\w")
_SAME_LETTER = re.compile(r"([a-z])\1{3}|(?:\b|[a-z])([a-z]{2})\2{2}", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?;]+\s+|[.!?;]+$")
_ABBREVIATED = re.compile(
    r"\b(?:e\.g|i\.e|etc|approx|vs|incl|max|min|no|st|mr|dr|ca|km|ft|sec|hrs?|dist|resp|cf|aka|esp)\.", re.I
)
_NUMBER_STOP = re.compile(r"(?<=\d)[.,:](?=\d)")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[.,;:!?]")
_FOREIGN = re.compile(r"[^\x00-\u024f\u2000-\u206f\u20a0-\u20cf\u2100-\u214f\u2190-\u21ff\u2200-\u22ff]")

_ARTICLES = frozenset({"a", "an", "the"})
_AFTER_ARTICLE_NEVER = (
    (
        DETERMINERS
        - {
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "other",
            "few",
            "many",
            "several",
            "such",
            "multiple",
            "numerous",
        }
    )
    | (AUXILIARIES - {"might", "will", "must", "being", "can"})
    | (PRONOUNS - {"he", "she"})
    | word_set(
        """
    of to for from at and or but with into onto because since as if then while until due by in
    """
    )
) - {"car's", "vehicle's", "ego's", "having", "getting"}
_NO_HEAD = word_set(
    """
    on to through along across within during about after before around over under
    """
)
_PARTICLES = frozenset({"on", "off", "through", "in", "out"})  # "the on ramp", "a through lane"
_AFTER_PARTICLE = word_set(
    """
    ramp ramps lane lanes road street traffic vehicle vehicles bound coming going looking
    """
)
_PREPS = word_set("for at into onto from of with towards toward between")
_AFTER_PREP_NEVER = word_set(
    """
    is are was were be has have had will would for of at into and or because since then
    """
)
_NEVER_LAST = (
    _ARTICLES
    | word_set(
        """
    and or but because since as due to for from of with into onto at than toward towards between is are was were
    """
    )
    | frozenset(["our", "their", "my", "your", "if", "while"])
)
_ONLY_DESCRIBES = word_set(
    """
    safe following merging slower slow usable upcoming adjacent oncoming narrow stopped parked sharp gentle slowing
    visible sufficient immediate proper comfortable steady smooth lower faster wider leading preceding stationary
    """
)
_PAIRS = frozenset(
    """
    and and|because is|because since|because to|due and|due due|due the|is and|is because
    is is|is since|it a|it it|it the|no a|no is|no the|of to|since because|since is
    since since|since to|there the|there to|to because|to is|to since|to to|which to|while to
    """.strip()
    .replace("\n    ", "|")
    .split("|")
)
_TWO_LETTERS = word_set(
    """
    am an as at av be by do ev ft go he hi hr if ii in is it km kn me mi mm cm mr ms my no of ok on or pm rv so st th to
    uk up us vs we id tv uv ad-hoc ai ed-lane re de la el rd ln nd
    """
)
_ONE_LETTER = word_set("a i m s u t x y h c z k")
# Whole words that the longer words of the tables begin with; any other such piece is a word that was cut.
_WHOLE_PREFIXES = word_set(
    """
    act air app auto avail bet bran bull camp cir comb con convert cot cur dam den dire disc dive dog elect equip
    express fin fir firm flat gar gene gent grad gran grid hat haze ind jay land leg like lit mat max mean mid miss mode
    motor norm pain paint par pat pave perm pet plant plat plough pol port pot press pro prompt prop protect pub quick
    rat read real ref reg reside rev rid rob rot rub sea sec sever shop shut sin sink ski slid soft spec stab star stat
    stud sub sudden surf sweep tan tar term tract trans tub vis wheel win wit foot scoot inform constant appear oppose
    proper approx pre
    """
)
_GLUE = ("the", "is", "to", "and", "due", "on", "an", "a", "ad", "of")
_REASONS = frozenset({"because", "since", "as", "due"})
_COMMANDS = word_set(
    """
    keep slow stop adapt adjust accelerate reduce yield nudge turn maintain resume decelerate proceed change merge come
    overtake follow steer
    """
)
_JOINTS = word_set("and or then to , . ; : ! ? but")


def damage(text: str) -> tuple[str, ...]:
    """Return why a text looks damaged, a few words each; empty for a whole text, however odd its content."""
    if not any(c.isalpha() for c in text):
        return ("no words",)
    if len(text) > LONG_CHARS:
        return ("too long",)
    text = text.translate(STRAIGHT)
    return tuple(dict.fromkeys([*_of_characters(text), *_of_sentences(text), *_of_words(text)]))


def _of_characters(text: str) -> Iterator[str]:
    plain = _ABBREVIATED.sub("abbr", _NUMBER_STOP.sub("", text))
    if text.lstrip()[:1] in ".,;:!?":
        yield "it begins with a stop"
    if _TOKEN.search(text):
        yield "a stray token"
    if _FOREIGN.search(text) or any(ord(c) < 32 and c not in "\n\t\r" for c in text):
        yield "a foreign script"
    if _DOUBLED_STOP.search(plain):
        yield "doubled stops"
    if _GLUED.search(plain):
        yield "glued words"
    if _SYMBOL.search(plain.replace("m/s", "").replace("km/h", "")):
        yield "a stray symbol"
    if _SAME_LETTER.search(text):
        yield "a repeated syllable"


def _of_sentences(text: str) -> Iterator[str]:
    parts = [p.strip() for p in _SENTENCE.split(_ABBREVIATED.sub("abbr", text)) if p and p.strip()]
    if not parts:
        return
    proper = parts[0][0].isupper()
    for before, part in pairwise(parts):
        stop = text[text.find(before) + len(before) :].lstrip()[:1]
        if stop == ";" or _gives_reason(before, part):
            continue
        short = len(part.split()) <= 2 and not _commands(part.split()[0].strip(",.'\"").lower())
        if short or (proper and part[0].islower()):
            yield "a fragment after the sentence"
    folded = [part.lower() for part in parts]
    if len(set(folded)) < len(folded):
        yield "a sentence twice"


def _gives_reason(before: str, part: str) -> bool:
    """Whether a part is a whole reason of a sentence without one: action and justification set side by side."""
    words = part.lower().split()
    told = _REASONS & set(before.lower().split())
    return not told and len(words) >= 4 and words[0] in _REASONS


def _commands(word: str) -> bool:
    """Whether a word begins a sentence of a word or two: "Stop.", "Keep lane.", "No change."."""
    return word in {"no", "then"} or any(form in {"base", "s"} for _, form in VERB_FORMS.get(word, ()))


def _of_words(text: str) -> Iterator[str]:
    raw = _WORD.findall(_ABBREVIATED.sub("", text).replace("-", " "))
    words = [word.lower() for word in raw]
    yield from _pairs(words)
    yield from _repetitions(words)
    yield from _shapes(raw, words)
    last = [word for word in words if word.isalpha()]
    if last and last[-1] in _NEVER_LAST and len(last) > 1:
        yield "it breaks off"


def _pairs(words: list[str]) -> Iterator[str]:
    padded = [*words, ".", "."]
    for one, two, three in zip(words, padded[1:], padded[2:], strict=False):
        if one.isalpha() and one == two and one not in {"had", "very", "that"}:
            yield f"{one!r} twice"
        elif (
            (
                one in _ARTICLES
                and two != "all"
                and not (two in _PARTICLES and three in _AFTER_PARTICLE)
                and (two in _AFTER_ARTICLE_NEVER or not two[0].isalnum())
            )
            or f"{one} {two}" in _PAIRS
            or (one in _PREPS and (two in _AFTER_PREP_NEVER or two in ".;!?"))
            or (one in _ARTICLES and two in _NO_HEAD and three not in _AFTER_PARTICLE)
            or (one in {"keep", "maintain", "remain", "stay"} and two in {"due", "since", "because", "."})
        ):
            yield f"{one!r} before {two!r}"
        elif one == "due" and two not in {"to", "north", "south", "east", "west", "course", "care"}:
            yield f"'due' before {two!r}"
        elif one == "a" and singular(two) != two and two not in {"works", "lines"} and not two.endswith("ss"):
            yield f"'a' before {two!r}"
    for a, b, c in zip(words, padded[1:], padded[2:], strict=False):
        if a in {"a", "an"} and b in _ONLY_DESCRIBES and (not c[0].isalnum() or c in _AFTER_ARTICLE_NEVER):
            yield f"nothing after {b!r}"
        if a == "a" and b == "traffic" and c in {"is", ".", "ahead", "are"}:
            yield "'a' before 'traffic'"


def _repetitions(words: list[str]) -> Iterator[str]:
    for size in range(2, 9):
        for i in range(len(words) - 2 * size + 1):
            if words[i : i + size] == words[i + size : i + 2 * size] and words[i].isalpha():
                yield "a repeated phrase"
                return
    alphabetic = [w for w in words if w.isalpha()]
    threes = Counter(zip(alphabetic, alphabetic[1:], alphabetic[2:], strict=False))
    if threes and max(threes.values()) > 2:
        yield "a repeated phrase"


def _shapes(raw: list[str], words: list[str]) -> Iterator[str]:
    capitals = sum(w[0].isupper() for w in raw if w.isalpha())
    titled = 2 * capitals > sum(w.isalpha() for w in raw)
    for i, (word, low) in enumerate(zip(raw, words, strict=True)):
        if not low.isalpha():
            continue
        before = words[i - 1] if i else "."
        if word[0].isupper() and low in _COMMANDS and before not in _JOINTS and not titled:
            yield f"{word!r} within a sentence"
        if word.isupper() and len(word) > 1:
            continue
        if (
            is_odd(low)
            or (len(low) == 1 and low not in _ONE_LETTER)
            or (len(word) == 1 and word.isupper() and not _is_name(words, i))
        ):
            yield f"{word!r} is no word"


def _is_name(words: list[str], i: int) -> bool:
    """Whether a capital letter is a word or names something: "a", "I", "U-turn", "T-junction", "lane B"."""
    return words[i] in {"a", "i"} or (
        words[i] in {"u", "t", "s", "y", "x"}
        and i + 1 < len(words)
        and (words[i + 1] in {"turn", "turns", "junction", "intersection", "curve", "bend", "bends"})
    )


@cache
def is_odd(word: str) -> bool:
    """Say whether a word that no table has looks like a piece of one, or like two glued."""
    if is_known(word) or len(word) == 1 or word in _TWO_LETTERS:
        return False
    if len(word) == 2 or not re.search("[aeiouy]", word):
        return True
    if any(word.startswith(g) and word[len(g) :] in _COMMANDS for g in _GLUE):
        return True
    if word[0] in "yn" and len(word) > 4 and (word[1:] in VERB_FORMS or word[1:] in SIDES or word[1:] in NOUN_WORDS):
        return True
    if any(
        word.endswith(c) and is_known(word[: -len(c)]) and len(word) > len(c) + 1
        for c in _COMMANDS
        if c not in {"turn", "come", "stop"}
    ):
        return True
    return len(word) >= 3 and word not in _WHOLE_PREFIXES and _is_cut(word)


def _is_cut(word: str) -> bool:
    return word in _beginnings()


@cache
def _beginnings() -> frozenset[str]:
    """Return what is left of the tables' words when two letters or more are cut off."""
    return frozenset(word[:end] for word in vocabulary() for end in range(3, len(word) - 1))


__all__ = ["CONJUNCTIONS", "damage", "is_odd"]
