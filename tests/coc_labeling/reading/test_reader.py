import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.local_traces import traces
from builders.said import causes_of, decisions_of, mirrored, sentences
from coc_labeling.reading import Motion, read_sentence
from coc_labeling.reading.reader import MAX_CHARS
from coc_labeling.schema import LateralDecision, LongitudinalDecision, Side

FIRST, LATER, LAST = (sentences(f"sentences{part}.txt") for part in ("", "_later", "_last"))
ALL = [*FIRST, *LATER, *LAST]


def test_there_are_enough_sentences_and_none_twice():
    assert len(FIRST) >= 110
    assert len(LATER) >= 40
    assert len({s.text for s in ALL}) == len(ALL) >= 220


@pytest.mark.parametrize("sentence", ALL, ids=[s.text for s in ALL])
def test_a_sentence_says_what_a_reader_finds_in_it(sentence):
    reading = read_sentence(sentence.text)
    if sentence.missed:
        assert decisions_of(reading) != sentence.decisions  # else it is no longer missed
        return
    assert decisions_of(reading) == sentence.decisions
    assert causes_of(reading) == sentence.causes
    assert reading.unread == ()
    assert reading.garbled == ()


def test_every_decision_of_the_taxonomy_is_read_somewhere():
    said = {d.decision for s in ALL for d in read_sentence(s.text).decisions}
    assert said >= {*LongitudinalDecision, *LateralDecision}
    assert {d.motion for s in ALL for d in read_sentence(s.text).decisions} >= set(Motion)


@pytest.mark.parametrize("sentence", ALL, ids=[s.text for s in ALL])
def test_case_and_the_last_stop_change_nothing(sentence):
    reading = read_sentence(sentence.text)
    for other in (sentence.text.lower(), sentence.text.rstrip("."), f"  {sentence.text}\n"):
        again = read_sentence(other)
        assert (again.decisions, again.causes) == (reading.decisions, reading.causes)
        assert again.garbled == ()


@pytest.mark.parametrize("sentence", ALL, ids=[s.text for s in ALL])
def test_the_mirrored_sentence_says_the_mirror(sentence):
    if re.search("right of way|has left", sentence.text):
        pytest.skip("its left or right is no side")
    reading, other = read_sentence(sentence.text), read_sentence(mirrored(sentence.text))
    assert decisions_of(other) == mirrored(decisions_of(reading))
    assert causes_of(other) == mirrored(causes_of(reading))
    assert [cause.text for cause in other.causes] == [mirrored(cause.text) for cause in reading.causes]


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=3))
def test_sentences_side_by_side_are_mirrored_as_well(chosen):
    text = " ".join(s.text for s in chosen if not re.search("right of way|has left", s.text))
    assert decisions_of(read_sentence(mirrored(text))) == mirrored(decisions_of(read_sentence(text)))
    assert causes_of(read_sentence(mirrored(text))) == mirrored(causes_of(read_sentence(text)))


@given(st.text(max_size=200))
def test_no_text_is_too_odd(text):
    reading = read_sentence(text)
    assert isinstance(reading.garbled, tuple)
    assert reading == read_sentence(text)


@pytest.mark.parametrize("sentence", ALL, ids=[s.text for s in ALL])
def test_a_sentence_may_break_off_after_any_word_or_begin_with_any(sentence):
    words = sentence.text.split()
    for i in range(len(words)):
        for part in (words[:i], words[i:], [words[i]]):
            assert read_sentence(" ".join(part)) == read_sentence(" ".join(part))


JOINTS = "no not so to of in due because since as then before until without instead ahead next on at the a and , . left"


@given(st.lists(st.sampled_from(JOINTS.split()), max_size=8))
def test_no_chain_of_joints_is_too_odd(words):
    assert read_sentence(" ".join(words)).unread == ()


WORDS = sorted({word for s in ALL for word in s.text.lower().rstrip(".").split()})


@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_no_order_of_known_words_is_too_odd(words):
    reading = read_sentence(" ".join(words))
    assert all(word not in WORDS for word in reading.unread)
    assert all(d.decision or d.motion or d.direction for d in reading.decisions)


def test_words_that_no_table_has_are_reported_and_not_guessed():
    reading = read_sentence("Slow down for the zeppelin above the quagmire.")
    assert reading.unread == ("zeppelin", "quagmire")
    assert reading.causes == ()
    assert reading.garbled == ()


def test_a_very_long_text_is_cut_and_takes_no_longer():
    begin = time.perf_counter()
    reading = read_sentence("keep the distance to the " * 200_000)
    assert time.perf_counter() - begin < 2.0
    assert reading.garbled == ("too long",)
    assert len(reading.decisions) < MAX_CHARS


def test_the_first_decisions_of_both_kinds():
    reading = read_sentence("Decelerate gently and change lane to the left.")
    assert reading.longitudinal.motion is Motion.DECELERATE
    assert (reading.lateral.decision, reading.lateral.direction) == (LateralDecision.CHANGE_LANE, Side.LEFT)
    assert read_sentence("").longitudinal is read_sentence("").lateral is None


@pytest.mark.skipif("COC_EXTRA_DATA" not in os.environ, reason="COC_EXTRA_DATA is not set: real traces are not here")
def test_real_traces_are_read():
    texts = traces(Path(os.environ["COC_EXTRA_DATA"]))
    readings = {text: read_sentence(text) for text in set(texts)}
    clean = [text for text in texts if not readings[text].garbled]
    assert len(clean) > len(texts) / 2
    whole = [text for text in clean if not readings[text].unread and readings[text].decisions]
    assert len(whole) / len(clean) > 0.97
