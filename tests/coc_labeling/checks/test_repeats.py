import pyarrow as pa

from coc_labeling.checks.base import TextCounts
from coc_labeling.checks.repeats import count_repeats

SAID = [
    ("a", "Stop."),
    ("a", "stop"),
    ("a", "Follow the car 20 m ahead."),
    ("b", "Stop."),
    ("b", "Follow the car 35 m ahead."),
    ("c", None),
]


def test_sentences_are_counted_over_the_run_and_in_their_clip():
    table = pa.table({"clip_id": [clip for clip, _ in SAID], "sentence": [sentence for _, sentence in SAID]})
    repeats = count_repeats(table)
    assert repeats.of_clip(["Stop.", "stop", "Follow the car 20 m ahead."]) == [
        TextCounts(3, 2, 2, 2, 2, 3),
        TextCounts(3, 2, 2, 2, 2, 3),
        TextCounts(1, 1, 2, 2, 1, 3),
    ]
    assert repeats.of_clip([None]) == [TextCounts(total_clips=2)]
