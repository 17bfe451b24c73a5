"""Frames as one video with the times they were taken, for models that read times."""

from typing import Any

from coc_labeling.model_clients.vlm_wrappers.common import TimedFrame, encode_image, frames_of

UNTIMED_FPS = 2.0  # of frames that nobody gave times


def video_parts(content: Any) -> list[dict[str, Any]]:
    """Return the parts of a message that show frames as one video, with the times that it has.

    Args:
        content: frames as ``BaseWrapper.add_message`` takes them.

    Raises:
        CocLabelingError: no frames, or no pictures.
    """
    frames = frames_of(content)
    first = frames[0]
    if isinstance(first, TimedFrame) and all(isinstance(frame, TimedFrame) for frame in frames):
        seconds = [round(frame[2] - first.t_sec, 3) for frame in frames if isinstance(frame, TimedFrame)]
    else:
        seconds = [index / UNTIMED_FPS for index in range(len(frames))]
    video = {"frames": [encode_image(frame[1]) for frame in frames], "seconds": seconds}
    labels = [frame[0] for frame in frames if frame[0]]
    if not labels:
        return [{"type": "video", "video": video}]
    clock = f"Frames at {', '.join(labels)}; 0.0 seconds in the video is {labels[0]}."
    return [{"type": "text", "text": clock}, {"type": "video", "video": video}]
