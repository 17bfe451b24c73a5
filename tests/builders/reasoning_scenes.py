"""Small datasets for the reasoning model: drives with the videos of its four cameras."""

from collections.abc import Sequence
from pathlib import Path

from alpamayo_r1.scenes import MODEL_CAMERAS
from builders.driving import Drive, lively_drive, uuid_like
from builders.pai import ego_parquet, write_unpacked
from builders.videos import times_of, video_bytes, write_video

FPS, FRAMES, SIZE = 10, 201, (96, 64)
CLIPS = tuple(uuid_like(number) for number in range(1, 4))


def pai_with_cameras(
    root: Path,
    clip_ids: Sequence[str] = CLIPS,
    *,
    cameras: Sequence[str] = MODEL_CAMERAS,
    drives: Sequence[Drive] | None = None,
) -> Path:
    """Write a Physical AI folder of 20 s clips; frame k of each video carries the number k and is taken at 0.1 k s."""
    own = drives or [lively_drive(number, hz=50) for number in range(len(clip_ids))]
    write_unpacked(root, {clip_id: ego_parquet(drive) for clip_id, drive in zip(clip_ids, own, strict=True)})
    content = video_bytes(FRAMES, fps=FPS, gop=FPS, size=SIZE)
    for clip_id in clip_ids:
        for camera in cameras:
            write_video(root / "camera" / camera, content, times_of(FRAMES, float(FPS)), f"{clip_id}.{camera}.mp4")
    return root
