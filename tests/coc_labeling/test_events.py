import json
import time

import pytest

from coc_labeling.events import EventLog


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_a_line_with_time_and_window(tmp_path):
    log = EventLog(str(tmp_path / "events.jsonl"))
    log.write("answer", "clip", 5_000_000, purpose="label", from_cache=False)
    (event,) = lines(tmp_path / "events.jsonl")
    assert abs(event.pop("time") - time.time()) < 5
    assert event == {
        "event": "answer",
        "clip_id": "clip",
        "event_start_timestamp": 5_000_000,
        "purpose": "label",
        "from_cache": False,
    }


def test_an_event_of_the_run_names_no_window(tmp_path):
    log = EventLog(str(tmp_path / "e"))
    log.write("start", total=3)
    assert "clip_id" not in lines(tmp_path / "e")[0]


def test_events_can_be_followed_while_the_run_goes_on(tmp_path):
    log = EventLog(str(tmp_path / "e"))
    log.write("one")
    assert len(lines(tmp_path / "e")) == 1
    log.write("two")
    assert [event["event"] for event in lines(tmp_path / "e")] == ["one", "two"]


def test_a_resumed_run_adds_to_the_events(tmp_path):
    for name in ("one", "two"):
        log = EventLog(str(tmp_path / "e"))
        log.write(name)
        log.close()
    assert [event["event"] for event in lines(tmp_path / "e")] == ["one", "two"]


@pytest.mark.parametrize("text", ["two\nlines", 'quote " and \\', "Füßgänger 🚗", "\u2028", "half \ud83d", "\0"])
def test_every_event_is_one_line_of_plain_text(tmp_path, text):
    log = EventLog(str(tmp_path / "e"))
    log.write("label", sentence=text)
    content = (tmp_path / "e").read_bytes()
    assert content.isascii()
    assert content.count(b"\n") == 1
    assert lines(tmp_path / "e")[0]["sentence"] == text


def test_what_json_does_not_know_is_written_as_text(tmp_path):
    log = EventLog(str(tmp_path / "e"))
    log.write("odd", value={"path": tmp_path})
    assert lines(tmp_path / "e")[0]["value"] == {"path": str(tmp_path)}


def test_without_a_path_nothing_is_written(tmp_path):
    log = EventLog(None)
    log.write("one")
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_after_the_end_events_are_dropped(tmp_path):
    log = EventLog(str(tmp_path / "e"))
    log.close()
    log.close()
    log.write("late")
    assert lines(tmp_path / "e") == []
