import pytest

from alpamayo_r1.evaluation.sentences import decided_by_sentence, read


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Stop for the red light.", ("stop", "keep_lane")),
        ("Turn left at the junction.", ("none", "turn left")),
        ("Slow down.", ("none", "keep_lane")),
        ("Nudge right around the parked car on the left.", ("none", "nudge_in_lane right")),
        ("Decelerate gently and follow the right curve.", ("adapt_speed", "keep_lane")),
        ("null", ("none", "none")),
        ("", ("none", "none")),
        ("qwxz zzz", ("none", "none")),
    ],
)
def test_what_a_sentence_decides(sentence, names):
    assert tuple(decided_by_sentence(read(sentence)).names.values()) == names
