import numpy as np
import pytest

from coc_labeling.model_clients.errors import RequestRefused
from coc_labeling.model_clients.local.prompts import to_prompt
from coc_labeling.model_clients.vlm_wrappers import TimedFrame, encode_image
from coc_labeling.model_clients.vlm_wrappers.videos import video_parts

GREY = np.full((32, 48, 3), 120, np.uint8)


def frames(seconds, picture=GREY):
    return [TimedFrame(f"t={second - 2:.2f}s", picture, 100 + second) for second in seconds]


def template(messages, options):
    return repr((messages, dict(options)))


def prompt_of(*content, **body):
    return to_prompt({"messages": [{"role": "user", "content": list(content)}], **body}, template)


def test_frames_are_one_video_that_is_mapped_to_the_window_s_clock():
    text, video = video_parts(frames([0.0, 0.5, 1.017]))
    assert text == {
        "type": "text",
        "text": "Frames at t=-2.00s, t=-1.50s, t=-0.98s; 0.0 seconds in the video is t=-2.00s.",
    }
    assert video["type"] == "video"
    assert video["video"]["seconds"] == [0.0, 0.5, 1.017]
    assert video["video"]["frames"] == [encode_image(GREY)] * 3


def test_frames_without_times_are_half_a_second_apart():
    (video,) = video_parts([GREY, GREY, GREY])
    assert video["video"]["seconds"] == [0.0, 0.5, 1.0]
    text, video = video_parts([("a", GREY), ("b", GREY)])
    assert text["text"] == "Frames at a, b; 0.0 seconds in the video is a."
    assert video["video"]["seconds"] == [0.0, 0.5]


def test_the_model_is_told_true_times_to_the_millisecond():
    prompt = prompt_of(*video_parts(frames([0.0, 0.517, 1.0])))
    ((pixels, metadata),) = prompt["multi_modal_data"]["video"]
    assert (pixels.shape, pixels.dtype) == ((3, 32, 48, 3), np.uint8)
    assert [index / metadata["fps"] for index in metadata["frames_indices"]] == [0.0, 0.517, 1.0]
    assert metadata["do_sample_frames"] is False
    assert "image" not in prompt["multi_modal_data"]


def test_a_video_of_one_frame_shows_it_twice_at_the_same_time():
    ((pixels, metadata),) = prompt_of(*video_parts(frames([0.0])))["multi_modal_data"]["video"]
    assert pixels.shape == (2, 32, 48, 3)
    assert metadata["frames_indices"] == [0, 0]


def test_pictures_are_placeholders_in_the_template():
    image = {"type": "image_url", "image_url": {"url": encode_image(GREY)}}
    prompt = prompt_of({"type": "text", "text": "see"}, image, chat_template_kwargs={"enable_thinking": False})
    said = [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image"}]}]
    assert prompt["prompt"] == repr((said, {"enable_thinking": False}))
    assert np.abs(prompt["multi_modal_data"]["image"][0].astype(int) - 120).max() < 5


def test_texts_alone_need_no_pictures():
    assert to_prompt({"messages": [{"role": "user", "content": "hi"}]}, template).keys() == {"prompt"}


def test_the_same_video_has_the_same_name_and_another_time_another():
    def name(*given):
        return prompt_of(*video_parts(*given))["multi_modal_uuids"]["video"][0]

    same = name(frames([0.0, 0.5]))
    assert name(frames([0.0, 0.5])) == same
    assert name(frames([0.0, 0.6])) != same
    assert name(frames([0.0, 0.5], GREY + 90)) != same


def test_a_picture_that_cannot_be_read_costs_its_window_only():
    video = {"type": "video", "video": {"frames": ["data:image/jpeg;base64,AAAA"], "seconds": [0.0]}}
    with pytest.raises(RequestRefused, match="cannot be read"):
        prompt_of(video)


def test_frames_of_different_sizes_are_no_video():
    mixed = [*frames([0.0]), *frames([0.5], GREY[:16])]
    with pytest.raises(RequestRefused, match="differ in size"):
        prompt_of(*video_parts(mixed))
