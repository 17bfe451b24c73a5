import os
import re
from pathlib import Path

import pytest

from builders.local_traces import traces
from builders.said import sentences
from coc_labeling.reading import read_sentence
from coc_labeling.reading.garbled import LONG_CHARS, damage

WHOLE = "Decelerate gently behind the white van that waits at the junction."

DAMAGED = [
    ("", "no words"),
    (" \n ", "no words"),
    ("...", "no words"),
    ("Stop for the tram.<|im_end|>", "a stray token"),
    ("Stop for the tram </s>", "a stray token"),
    ("Stop for the tr\ufffdm.", "a stray token"),
    ("Stop for the tram \u8eca ahead.", "a foreign script"),
    ("Stop for the tram.. ", "doubled stops"),
    ("Stop for the tram. .", "doubled stops"),
    ("Slow down behind theKeep lane", "glued words"),
    ("RemStop for the tram.", "glued words"),
    ("YStop for the tram.", "glued words"),
    ("Stop for the tram.Keep lane", "glued words"),
    ("Stop for the tram$ ahead.", "a stray symbol"),
    ("Turn left at the T- since it is clear.", "a stray symbol"),
    ("Stooooop for the tram.", "a repeated syllable"),
    ("AdAdAdAd for the tram.", "a repeated syllable"),
    ("Stop for the tram. ahead.", "a fragment after the sentence"),
    ("Stop for the tram. Opening.", "a fragment after the sentence"),
    ("Stop for the tram. Stop for the tram.", "a sentence twice"),
    ("Stop for for the tram.", "'for' twice"),
    ("Stop for the the tram.", "'the' twice"),
    ("Stop at a the tram.", "'a' before 'the'"),
    ("Stop for the of tram.", "'the' before 'of'"),
    ("Stop for the.", "'the' before '.'"),
    ("Slow down due the tram.", "'due' before 'the'"),
    ("Stop for a trams.", "'a' before 'trams'"),
    ("Wait since because of the tram.", "'since' before 'because'"),
    ("Slow down to keep a safe.", "nothing after 'safe'"),
    ("Keep distance to maintain a following", "nothing after 'following'"),
    ("Stop behind the tram and the tram and the tram and the tram.", "a repeated phrase"),
    ("Stop behind the tram because it is", "it breaks off"),
    ("Stop behind the tram because", "it breaks off"),
    ("Slow behind the tram Keep lane", "'Keep' within a sentence"),
    ("Acceler behind the tram.", "'Acceler' is no word"),
    ("Slow dwn behind the tram.", "'dwn' is no word"),
    ("N to pass the tram.", "'N' is no word"),
    ("Slow behind thekeep tram.", "'thekeep' is no word"),
    ("Slow behind the qz tram.", "'qz' is no word"),
    ("Stop for the tram. " * 100, "too long"),
]


@pytest.mark.parametrize(("text", "why"), DAMAGED, ids=[repr(text[:40]) for text, _ in DAMAGED])
def test_a_damaged_text_is_flagged_with_why(text, why):
    assert why in read_sentence(text).garbled


CLEAN = [
    WHOLE,
    "Keep lane",
    "keep lane. slow down for the tram.",
    "Keep lane; slow down.",
    "The car halts. because the gate is closed.",
    "The gate opens and is now up, and because the road is free, drive on.",
    "Keep distance to the lead vehicle. Keep lane.",
    "Slow Down For The Red Light.",
    "STOP FOR THE TRAM!",
    "Make a U-turn at the T-junction.",
    "Merge from the on-ramp into the through lane.",
    "Slow down for all of the pedestrians.",
    "Slow to 30 km/h, approx. 40 m before the bend, e.g. for the school.",
    "Ego drives 13.4 m/s; the lead is 1.2 m/s slower.",
    "Slow for the SUV and the two RVs.",
    "Nudge left to pass the zeppelin.",
    "Wait for the heron, the otter and the badger.",
    "The lead vehicle doesn't move, so stop.",
    "Pull over because an ambulance comes up from behind.",
    "Yield to the driver's-side door that opens.",
    "The road that that truck blocks is narrow, so stop.",
    "Follow the lead vehicle through the s-curve on Route 66.",
]


@pytest.mark.parametrize("text", CLEAN)
def test_a_whole_text_is_not_flagged(text):
    assert damage(text) == ()


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_sentence_that_breaks_off_in_a_word_is_flagged(cut):
    flagged = [
        word
        for word in ("deceleration", "pedestrian", "construction", "intersection", "motorcycle")
        if damage(f"Slow down for the {word[: -cut - 2]}")
    ]
    assert len(flagged) >= 4


def test_length_alone_is_told_first():
    assert damage("word " * LONG_CHARS) == ("too long",)


# Signs that are told without any of the tables.
SIGNS = re.compile(r"<\||\.\s*\.|\b(\w+) \1\b|\ba the\b|\bthe a\b|\bto a the\b|[a-z]{3}[A-Z][a-z]|[\u3040-\ud7ff]")


@pytest.mark.skipif("COC_EXTRA_DATA" not in os.environ, reason="COC_EXTRA_DATA is not set: real traces are not here")
def test_real_traces_with_plain_signs_of_damage_are_flagged_and_often_said_ones_are_not():
    texts = traces(Path(os.environ["COC_EXTRA_DATA"]))
    assert [text for text in texts if (not text.strip() or SIGNS.search(text)) and not damage(text)] == []
    often = {text for text in texts if texts.count(text) >= 20 and text.strip()}
    assert len(often) > 20
    assert [text for text in often if damage(text) and not re.search("maintain a following", text)] == []


def test_no_sentence_of_the_tables_is_flagged():
    both = [s for part in ("", "_later", "_last") for s in sentences(f"sentences{part}.txt")]
    assert [s.text for s in both if damage(s.text)] == []
