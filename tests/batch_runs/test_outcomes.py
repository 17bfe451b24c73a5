import json

import pytest

from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, MAX_IDS_IN_SUMMARY, REJECTED, Tally, write_summary


def tally(done=0, rejected=0, failed=0) -> Tally:
    result = Tally()
    for outcome, count in ((DONE, done), (REJECTED, rejected), (FAILED, failed)):
        for i in range(count):
            result.add(outcome, f"{outcome}_reason", f"{outcome}{i}", f"message {i}")
    return result


@pytest.mark.parametrize(
    ("counts", "code", "strict_code"),
    [
        ({}, 0, 0),
        ({"done": 3}, 0, 0),
        ({"done": 3, "rejected": 1}, 0, 1),
        ({"rejected": 2}, 0, 1),
        ({"done": 3, "failed": 1}, 1, 1),
        ({"rejected": 3, "failed": 1}, 1, 1),
        ({"failed": 2}, 2, 2),
    ],
)
def test_exit_codes(counts, code, strict_code):
    assert tally(**counts).exit_code(strict=False) == code
    assert tally(**counts).exit_code(strict=True) == strict_code


def test_clips_that_were_done_before_count_as_done_and_not_as_fresh():
    result = tally(done=2)
    result.add(DONE, ALREADY_DONE, "old")
    assert (result.count(DONE), result.fresh) == (3, 2)


def test_the_lines_show_some_of_many_problems(tmp_path):
    own = tally(done=1, failed=5)
    text = "\n".join(own.lines("clips"))
    assert "1 clips done" in text
    assert "failed: failed_reason (5)" in text
    assert "failed2: message 2" in text
    assert "failed3" not in text
    assert "... and 2 more" in text.splitlines()[-1]
    assert ".json" not in text  # there is no summary yet
    path = str(tmp_path / "check_summary.shard-0-of-2.json")
    write_summary(path, "command", {}, own, unit="clips")
    assert own.lines("clips")[-1].endswith(f"... and 2 more, all in {path}")


def test_a_message_that_names_its_file_is_not_named_again():
    own = Tally()
    own.add(FAILED, "r", "clip/cot_1.yaml", "run/clip/cot_1.yaml: expected YAML.")
    own.add(FAILED, "r", "clip", "clip: it crashed.")
    own.add(FAILED, "r", "other", "run/another: no.")
    assert own.lines("labels")[-3:] == [
        "    run/clip/cot_1.yaml: expected YAML.",
        "    clip: it crashed.",
        "    other: run/another: no.",
    ]


def test_the_summary_holds_counts_reasons_ids_and_messages(tmp_path):
    path = tmp_path / "run_summary.json"
    returned = write_summary(str(path), "command", {"a": 1}, tally(2, 1, 1), unit="clips", tokens=7)
    written = json.loads(path.read_text())
    assert written == returned
    assert written["counts"] == {"done": 2, "rejected": 1, "failed": 1}
    assert written["reasons"]["rejected"] == {"rejected_reason": 1}
    assert written["ids"]["done"]["done_reason"] == ["done0", "done1"]
    assert written["messages"]["failed0"] == "message 0"
    assert written["config"] == {"a": 1}
    assert written["tokens"] == 7
    assert {"command", "version", "started", "seconds", "clips_per_second"} <= written.keys()


def test_many_ids_go_to_a_side_file_and_none_is_lost(tmp_path):
    count = MAX_IDS_IN_SUMMARY + 1
    written = write_summary(str(tmp_path / "run_summary.json"), "c", {}, tally(failed=count), unit="clips")
    side = written["ids"]["failed"]["failed_reason"]
    assert side == {"file": "run_summary.failed.failed_reason.tsv", "count": count}
    lines = (tmp_path / side["file"]).read_text().splitlines()
    assert len(lines) == count
    assert "failed7\tmessage 7" in lines
    assert written["messages"] == {}


def test_messages_of_two_lines_keep_one_line_each_in_the_side_file(tmp_path):
    result = Tally()
    for i in range(MAX_IDS_IN_SUMMARY + 1):
        result.add(FAILED, "r", f"id{i:04}", "first line\nsecond\tline")
    write_summary(str(tmp_path / "run_summary.json"), "c", {}, result, unit="clips")
    assert len((tmp_path / "run_summary.failed.r.tsv").read_text().splitlines()) == MAX_IDS_IN_SUMMARY + 1


def test_ids_that_are_no_unicode_can_be_written(tmp_path):
    result = Tally()
    result.add(FAILED, "illegal_id", "caf\udce9.csv", "caf\udce9.csv: cannot be a clip id")
    write_summary(str(tmp_path / "run_summary.json"), "c", {}, result, unit="clips")
    assert json.loads((tmp_path / "run_summary.json").read_text())["counts"]["failed"] == 1
