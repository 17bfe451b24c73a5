import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import CLIP, agent_of, frames_of, window
from coc_labeling.conversation import CameraFrames, Part, Reference, Shot, messages, part_of, references
from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers.common import TimedFrame
from coc_labeling.schema import PromptMessage
from meta_action.timeline import Span

SHOT = Shot("a.front.mp4", 318, 10_617_000, "data:image/jpeg;base64,AAAA")
LATER = Shot("a.front.mp4", 333, 11_117_000, "data:image/jpeg;base64,BBBB")
names = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)
labels = st.from_regex(r"(t=-?[0-9]{1,2}\.[0-9]{2}s)?", fullmatch=True)
shots = st.builds(Shot, names, st.integers(0, 10**6), st.integers(-(10**8), 10**8), st.just("data:,"))


def prepared(*cameras: CameraFrames, own=None):
    return agent_of().prepare(own or window(), list(cameras) or [frames_of(own or window())])


def texts(parts) -> list[str]:
    return [part.text for part in parts]


def test_a_text_is_a_message_of_text():
    assert Part("system", "Stop.").message() == {"role": "system", "m_type": "text", "content": "Stop."}


def test_frames_are_a_video_with_a_label_each_and_nothing_else_of_them():
    part = Part("user", frames=(("t=-1.98s", SHOT), ("t=-1.48s", LATER)))
    assert part.message() == {
        "role": "user",
        "m_type": "video",
        "content": [
            TimedFrame("t=-1.98s", SHOT.data_uri, 10.617),
            TimedFrame("t=-1.48s", LATER.data_uri, 11.117),
        ],
    }


def test_records_refer_to_frames_in_the_released_form():
    message = Part("user", frames=(("t=-1.98s", SHOT), ("t=-1.48s", LATER))).reference()
    assert (message.role, message.m_type) == ("user", "video")
    assert message.content.splitlines() == [
        "t=-1.98s [a.front.mp4, index=318, ts=10617000]",
        "t=-1.48s [a.front.mp4, index=333, ts=11117000]",
    ]


def test_no_pixel_is_in_a_reference():
    assert "data:" not in Part("user", frames=(("t=0.00s", SHOT),)).reference().content


def test_references_are_read_back():
    part = Part("user", frames=(("t=-1.98s", SHOT), ("t=0.00s", LATER)))
    assert references(part.reference()) == [
        Reference("t=-1.98s", "a.front.mp4", 318),
        Reference("t=0.00s", "a.front.mp4", 333),
    ]


def test_a_reference_of_the_released_tool_has_no_label():
    message = PromptMessage(role="user", m_type="video", content="[front.mp4, index=318, ts=10600000]")
    assert references(message) == [Reference("", "front.mp4", 318)]


@pytest.mark.parametrize(
    "line", ["a frame", "[front.mp4]", "[front.mp4, index=-1, ts=0]", "t=0.0s [, index=1, ts=2]", ""]
)
def test_a_line_that_is_no_reference_is_an_error_that_shows_it(line):
    message = PromptMessage(role="user", m_type="video", content=f"[a.mp4, index=1, ts=2]\n{line}\n")
    with pytest.raises(CocLabelingError, match="expected a frame as"):
        references(message)


def test_a_text_refers_to_no_frame():
    assert references(PromptMessage(role="user", m_type="text", content="[a.mp4, index=1, ts=2]")) == []


@given(st.lists(st.tuples(labels, shots), min_size=1, max_size=4))
def test_a_part_is_made_again_from_its_reference(frames):
    part = Part("user", frames=tuple(frames))
    known = {(shot.file, shot.index): shot for _, shot in frames}
    again = part_of(part.reference(), known)
    assert [(label, shot.file, shot.index) for label, shot in again.frames] == [
        (label, shot.file, shot.index) for label, shot in frames
    ]


@given(st.text(max_size=40))
def test_a_text_is_made_again_from_its_reference(text):
    assert part_of(Part("system", text).reference(), {}) == Part("system", text)


def test_a_conversation_keeps_its_order():
    said = messages([Part("system", "a"), Part("user", "b"), Part("user", frames=(("t=0.00s", SHOT),))])
    assert [(m["role"], m["m_type"]) for m in said] == [("system", "text"), ("user", "text"), ("user", "video")]


def test_instructions_come_first_then_the_window_then_the_frames():
    parts = prepared().parts
    assert [(part.role, bool(part.frames)) for part in parts] == [
        ("system", False),
        ("user", False),
        ("user", False),
        ("user", True),
    ]
    assert parts[1].text.startswith("# Meta-actions\n")
    assert parts[2].text == "# Frames of front"


def test_every_window_begins_with_the_same_instructions():
    """A server's prefix cache holds them: not a byte of them may depend on the window."""
    span = Span("longitudinal", "stop", 0, 90)
    own = [window(), window(1_000_000, spans=[span]), window(19_000_000)]
    first = {prepared(frames_of(w), own=w).parts[0] for w in own} | {prepared(CameraFrames("x", (), 16)).parts[0]}
    assert len(first) == 1


def test_frames_are_labelled_with_their_true_times():
    own = window()
    part = prepared(frames_of(own, late_us=17_000), own=own).parts[-1]
    assert [label for label, _ in part.frames][:5] == ["t=-1.98s", "t=-1.48s", "t=-0.98s", "t=-0.48s", "t=0.02s"]
    assert [shot.t_us - own.t0_us for _, shot in part.frames] == list(range(-1_983_000, 6_000_000, 500_000))


def test_every_camera_is_named_before_its_frames():
    own = window()
    parts = prepared(frames_of(own, "front"), frames_of(own, "left"), frames_of(own, "right"), own=own).parts
    assert texts(parts[2:]) == ["# Frames of front", "", "# Frames of left", "", "# Frames of right", ""]
    assert [part.frames[0][1].file for part in parts[3::2]] == [f"{CLIP}.{c}.mp4" for c in ("front", "left", "right")]


def test_frames_that_do_not_exist_are_said_to_be_missing():
    own = window()
    parts = prepared(frames_of(own, missing=3), own=own).parts
    assert parts[1].text.startswith("# Window\n3 of 16 frames of front do not exist.\n\n# Meta-actions\n")
    assert len(parts[3].frames) == 13


def test_a_camera_without_frames_is_said_to_be_missing_and_has_no_heading():
    own = window()
    parts = prepared(frames_of(own), CameraFrames("left", (), 16, ("No video of left was found.",)), own=own).parts
    assert parts[1].text.startswith("# Window\nThere is no frame of left.\n\n")
    assert texts(parts[2:]) == ["# Frames of front", ""]


def test_the_record_knows_what_is_missing_and_why():
    own = window(1_000_000)
    note = "cut off"
    info = prepared(frames_of(own, missing=2), CameraFrames("left", (), 16, (note,)), own=own).info
    assert (info.frames, info.missing_frames, info.notes) == (14, 18, (note,))
    assert (info.missing_history_sec, info.missing_future_sec) == (1.0, 0.0)


def test_notes_on_a_video_are_not_said_to_a_model():
    """They name files."""
    own = window()
    frames = CameraFrames("front", frames_of(own).shots, 0, (f"/data/{CLIP}.mp4: cut off",))
    assert CLIP not in "".join(texts(prepared(frames, own=own).parts))


def test_all_frames_of_a_window_are_known_in_the_order_they_are_sent():
    own = window()
    cameras = [frames_of(own, "front"), frames_of(own, "left")]
    assert prepared(*cameras, own=own).shots == [*cameras[0].shots, *cameras[1].shots]
