"""Data to measure on: the golden clips, repeated under new names. The same bytes wherever it is built."""

import os
import uuid
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driving_clips.ego_motion import EgoMotion
from driving_clips.geometry import quat_of_yaw

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "data" / "golden"
CLIPS_PER_CHUNK = 97
FULL_CLIP_TICKS = 201
TAIL_SAMPLES = 200  # 2 s at 100 Hz: recordings go on past the 20 s of the clip


@dataclass(frozen=True)
class Member:
    """A deflated file, ready to be put into many zips under many names."""

    size: int
    checksum: int
    deflated: bytes


def clip_id(number: int) -> str:
    """Return the id of the n-th synthetic clip, a UUID as in the dataset."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"clip {number}"))


def full_motions(count: int) -> list[EgoMotion]:
    """Return golden trajectories of 201 ticks, repeated to ``count``."""
    with np.load(GOLDEN / "trajectories" / "clips.npz") as clips:
        columns = [clips[name] for name in clips.files if len(clips[name]) == FULL_CLIP_TICKS]
    return [_motion(clip.copy()) for clip in islice(cycle(columns), count)]


def _motion(columns: np.ndarray) -> EgoMotion:
    x, y, heading, vx, vy = columns.T
    zero = np.zeros_like(x)
    return EgoMotion(0, np.stack([x, y, zero], axis=1), quat_of_yaw(heading), np.stack([vx, vy, zero], axis=1))


def write_chunks(data_dir: Path, chunks: range) -> Path:
    """Write chunk zips of recordings of 22 s at 100 Hz in the layout of the dataset; returns ``data_dir``."""
    folder = data_dir / "labels" / "egomotion"
    folder.mkdir(parents=True, exist_ok=True)
    members = golden_members()
    for chunk in chunks:
        with zipfile.ZipFile(folder / f"egomotion.chunk_{chunk:04d}.zip", "w") as archive:
            for number in range(chunk * CLIPS_PER_CHUNK, (chunk + 1) * CLIPS_PER_CHUNK):
                _put(archive, f"{clip_id(number)}.egomotion.parquet", members[number % len(members)])
    os.sync()  # the runs shall not pay for writing this to disk
    return data_dir


def _put(archive: zipfile.ZipFile, name: str, member: Member) -> None:
    """Add a member that is deflated already; zipfile itself would deflate it again for every clip."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.CRC, info.file_size, info.compress_size = member.checksum, member.size, len(member.deflated)
    assert archive.fp is not None
    archive.fp.seek(archive.start_dir)
    info.header_offset = archive.fp.tell()
    archive.fp.write(info.FileHeader(zip64=False) + member.deflated)
    archive.start_dir = archive.fp.tell()
    archive.filelist.append(info)
    archive.NameToInfo[name] = info
    archive._didModify = True  # type: ignore[attr-defined]


@cache
def golden_members() -> tuple[Member, ...]:
    """Return the golden recordings, prolonged to 22 s, as parquet and deflated."""
    members = []
    for path in sorted((GOLDEN / "pai" / "labels" / "egomotion").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                content = _prolonged(archive.read(name))
                packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
                members.append(Member(len(content), zlib.crc32(content), packer.compress(content) + packer.flush()))
    return tuple(members)


def _prolonged(content: bytes) -> bytes:
    """Add 2 s to a recording: its last 2 s, point-reflected in the last sample, so that no value is repeated."""
    table = pq.read_table(pa.BufferReader(content))
    by_time = table.sort_by("timestamp")
    tail = []
    for name in table.column_names:
        values = by_time.column(name).to_numpy()
        tail.append(2 * values[-1] - values[-2 : -2 - TAIL_SAMPLES : -1])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables([table, pa.table(tail, schema=table.schema)]), sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written
