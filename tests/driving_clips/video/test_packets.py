import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.videos import times_of, video_bytes, write_video
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError
from driving_clips.video import packets
from driving_clips.video.packets import PacketTable, Run, table_of
from driving_clips.video.reading import VideoReader

# Two groups in decode order as (pts, is keyframe): the second, an open one, begins with two leading pictures.
OPEN = [(0, True), (30, False), (10, False), (20, False), (60, True), (40, False), (50, False), (70, False)]


def table(rows, shown=None) -> PacketTable:
    shown = shown or [True] * len(rows)
    return table_of([(pts, None, key, show) for (pts, key), show in zip(rows, shown, strict=True)])


def test_frames_are_in_display_order():
    assert table(OPEN).position_of_frame.tolist() == [0, 2, 3, 1, 5, 6, 4, 7]


def test_hidden_frames_do_not_count():
    assert table(OPEN, [False, *[True] * 7]).position_of_frame.tolist() == [2, 3, 1, 5, 6, 4, 7]


def test_leading_pictures_need_the_group_before():
    t = table(OPEN)
    assert [t.key_before(position) for position in range(8)] == [0, 0, 0, 0, 4, 0, 0, 4]
    assert t.leads(5, 4)
    assert not t.leads(7, 4)
    assert t.key_before(7, earlier=1) == 0


def test_decoding_goes_on_within_a_group_and_starts_afresh_at_a_later_one():
    t = table([(i, i % 10 == 0) for i in range(50)])
    assert t.runs([3, 8]) == [Run(0, (3, 8))]
    assert t.runs([3, 12]) == [Run(0, (3,)), Run(10, (12,))]
    assert t.runs([9, 12]) == [Run(0, (9, 12))]  # not one packet would be saved
    assert t.runs([45, 2]) == [Run(0, (2,)), Run(40, (45,))]
    assert t.runs([]) == []


def test_a_stream_that_begins_without_a_keyframe_is_decoded_from_its_start():
    assert table([(0, False), (1, False), (2, True)]).runs([1]) == [Run(0, (1,))]


def test_without_times_or_with_one_twice_packets_are_counted():
    for times in ([None, None, None], [0, 1, 1], [0, None, 2]):
        t = table_of([(pts, pts, i == 0, True) for i, pts in enumerate(times)])
        assert not t.is_timed
        assert t.pts.tolist() == [0, 1, 2]


@given(keys=st.lists(st.booleans(), min_size=1, max_size=60), data=st.data())
def test_each_wanted_packet_is_in_one_run_that_can_decode_it(keys, data):
    t = table([(i, key) for i, key in enumerate(keys)])
    wanted = data.draw(st.sets(st.integers(0, len(keys) - 1)))
    runs = t.runs(wanted)
    assert [position for run in runs for position in run.wanted] == sorted(wanted)
    last = -1
    for run in runs:
        assert last < run.start <= t.key_before(run.wanted[0])
        last = run.wanted[-1]
    decoded = sum(run.wanted[-1] - run.start + 1 for run in runs)
    assert decoded <= (max(wanted) + 1 if wanted else 0)
    assert np.all(np.diff([run.start for run in runs]) > 0)


@pytest.mark.parametrize(("most", "fits"), [(60, True), (59, False)])
def test_a_video_has_at_most_so_many_packets(tmp_path, monkeypatch, most, fits):
    monkeypatch.setattr(packets, "MAX_PACKETS", most)
    path = write_video(tmp_path, video_bytes(60), times_of(60))
    if fits:
        with VideoReader(VideoLocation("front", str(path))) as video:
            assert len(video.table.pts) == 60
        return
    with pytest.raises(ClipFailedError, match=f"{path}: more than 59 packets") as caught:
        VideoReader(VideoLocation("front", str(path)))
    assert caught.value.reason == "corrupt_video"
