from builders.records import plain_record
from coc_labeling.export.label_text import label_text
from coc_labeling.report.clips import Keyframe
from coc_labeling.results import as_row
from driving_clips.files import FileStamp

ROW = as_row(plain_record(), FileStamp(1, 1))


def test_a_label_in_lines():
    assert label_text(Keyframe(1, 1.0, ROW, plain_record())).splitlines() == [
        "follow lead / nudge in lane, left",
        "Decelerate: the lead vehicle, 12 m ahead, stands.",
        "critical object · lead: stopped lead vehicle 12 m ahead",
        "lane: right curve, radius 80 m",
        "Ego drives 8.0 m/s. Observed: a lead vehicle.",
    ]


def test_an_abstention_says_why():
    row = ROW | {"status": "abstention", "abstention_reason": "no_decision", "abstention_detail": "reverse\x1b[2J"}
    assert label_text(Keyframe(1, 1.0, row, None)) == "no label: no decision\nreverse\N{REPLACEMENT CHARACTER}[2J"
