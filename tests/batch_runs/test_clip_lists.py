import pytest

from batch_runs.clip_lists import read_clip_list
from driving_clips.errors import DatasetError


def write(tmp_path, content: bytes) -> str:
    (tmp_path / "list.txt").write_bytes(content)
    return str(tmp_path / "list.txt")


def test_a_list_has_one_id_a_line(tmp_path):
    assert read_clip_list(write(tmp_path, b"a\nb\nc")).ids == {"a", "b", "c"}


def test_windows_line_ends_spaces_and_a_byte_order_mark_do_no_harm(tmp_path):
    assert read_clip_list(write(tmp_path, b"\xef\xbb\xbfa\r\n  b \r\n")).ids == {"a", "b"}


def test_blank_lines_and_repeats_are_told(tmp_path):
    path = write(tmp_path, b"a\n\nb\na\n\n")
    clips = read_clip_list(path)
    assert clips.ids == {"a", "b"}
    assert clips.repeated == ["a"]
    assert clips.blank_lines == [2, 5]
    repeated, blank = clips.notices(path)
    assert "1 repeated ids, each taken once: a" in repeated
    assert "2 blank lines skipped: 2, 5" in blank


def test_many_repeats_are_shortened(tmp_path):
    path = write(tmp_path, b"".join(b"%d\n%d\n" % (i, i) for i in range(9)))
    assert "0, 1, 2, 3, 4 and 4 more" in read_clip_list(path).notices(path)[0]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_list_without_ids_is_refused(tmp_path, content):
    with pytest.raises(DatasetError, match=r"list\.txt: no clip id in it"):
        read_clip_list(write(tmp_path, content))


def test_a_list_that_is_no_text_or_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"list\.txt: expected a text file"):
        read_clip_list(write(tmp_path, b"\xff\xfe\x80"))
    with pytest.raises(DatasetError, match="nowhere: expected a text file"):
        read_clip_list(str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match="expected a text file"):
        read_clip_list(str(tmp_path))
