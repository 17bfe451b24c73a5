import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.pictures.ink import LONGEST_TEXT, Sketch, clean, elided, font, pillow, wrapped
from driving_clips.errors import DatasetError

TEXTS = st.text(max_size=300) | st.text(alphabet="ab .,-\n\t", max_size=300)


@given(TEXTS, st.integers(40, 400), st.integers(0, 6))
def test_lines_keep_to_their_room(text, width, most):
    letters = font(12)
    lines = wrapped(text, letters, width, most)
    assert len(lines) <= most
    assert all(letters.getlength(line) <= width for line in lines)


@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=8), max_size=30))
def test_nothing_is_lost_where_there_is_room(words):
    text = " ".join(words)
    assert " ".join(wrapped(text, font(12), 200, 100)) == text


def test_what_does_not_fit_ends_with_an_ellipsis():
    lines = wrapped("one two three four five six seven eight nine ten", font(12), 80, 2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")


def test_a_word_wider_than_a_line_is_broken():
    lines = wrapped("w" * 60, font(12), 100, 20)
    assert len(lines) > 1
    assert "".join(lines) == "w" * 60


@given(TEXTS, st.integers(10, 300))
def test_elided_text_fits(text, width):
    short = elided(clean(text), font(12), width)
    assert short == "…" or font(12).getlength(short) <= width


@given(st.text(max_size=50))
def test_clean_text_is_one_line_that_can_be_drawn(text):
    said = clean(text)
    assert "\n" not in said
    assert "\x1b" not in said
    font(12).getlength(said)


def test_halves_of_characters_and_long_texts_are_no_trouble():
    assert clean("a\ud800b") == "a?b"
    assert len(clean("x" * 1_000_000)) == LONGEST_TEXT


def test_shapes_far_outside_are_no_trouble():
    sketch = Sketch(20, 20, "#ffffff")
    sketch.polygon(np.array([[-1e9, -1e9], [1e9, -1e9], [0.0, 1e9]]), "#000000")
    sketch.line(np.array([[-1e12, 0.0], [1e12, 20.0]]), "#ff0000")
    assert sketch.finished().size == (20, 20)


def test_edges_are_smooth():
    sketch = Sketch(20, 20, "#ffffff")
    sketch.disc(10, 10, 6, "#000000")
    assert len(set(np.asarray(sketch.finished())[..., 0].ravel().tolist())) > 2


def test_missing_pillow_is_answered_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.ImageDraw", None)
    with pytest.raises(DatasetError, match=r"pip install 'coc-toolkit\[vlm\]'"):
        pillow()
