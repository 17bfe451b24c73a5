"""Chunk zips of a camera with stand-ins for videos, and ways to spoil them."""

import struct
import zipfile
from pathlib import Path

from builders.pai import FRONT, camera_members, zip_members


def video_bytes(clip_id: str, size: int = 3000) -> bytes:
    """Return the stand-in for a clip's video."""
    return (f"video of {clip_id} ".encode() * size)[:size]


def clip_members(clip_id: str, camera: str = FRONT, *, timestamps: bool = True, size: int = 3000) -> dict[str, bytes]:
    """Return the members of one clip: video, frame timestamps, and the boxes that nobody asks for."""
    members = camera_members(clip_id, camera) | {f"{clip_id}.{camera}.mp4": video_bytes(clip_id, size)}
    return {name: content for name, content in members.items() if timestamps or "timestamps" not in name}


def write_zip(folder: Path, number: int, clip_ids, camera: str = FRONT, **options) -> Path:
    """Write ``<camera>.chunk_<number>.zip`` with some clips."""
    members: dict[str, bytes] = {}
    for clip_id in clip_ids:
        members |= clip_members(clip_id, camera, **options)
    return zip_members(folder / f"{camera}.chunk_{number:04d}.zip", members)


def spoil_member(path: Path, member: str) -> None:
    """Change a byte of a stored member, so that its checksum is wrong."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    content = bytearray(path.read_bytes())
    sizes = struct.unpack_from("<HH", content, info.header_offset + 26)
    content[info.header_offset + 30 + sum(sizes) + 5] ^= 0xFF
    path.write_bytes(bytes(content))


def mark_encrypted(path: Path, member: str) -> None:
    """Set the flag of an encrypted member, in its own header and in the archive's directory."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info, directory = archive.getinfo(member), archive.start_dir
        content[info.header_offset + 6] |= 1
        at = directory
        for other in archive.infolist():
            name, extra, comment = struct.unpack_from("<HHH", content, at + 28)
            if other.filename == member:
                content[at + 8] |= 1
            at += 46 + name + extra + comment
    path.write_bytes(bytes(content))


def cut_short(path: Path) -> None:
    """Keep the first half of a file, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
