"""The one door to the file system.

Paths are listed, stamped, joined, locked, and written to as a whole or not at all, only here, so that other stores can
come without touching the steps. Arrow's own readers and writers take the paths that this module hands out.
"""

import errno
import fcntl
import os
import re
import shutil
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from isal import isal_zlib

from driving_clips.errors import ClipFailedError, DatasetError

OPEN_ZIPS_PER_PROCESS = 4
_TEMPORARY = re.compile(r"^\..+\.(?P<host>[^.]+)-(?P<pid>\d+)\.tmp$")
# What a damaged, encrypted or unknown-method member makes zipfile raise.
_ZIP_FAULTS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    isal_zlib.IsalError,  # type: ignore[assignment]  # its stub calls the class an instance
    struct.error,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
)
_ENCRYPTED = 0x1  # flag bit of a member, APPNOTE.TXT 4.4.4
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL_HEADER = struct.Struct("<26xHH")  # sizes of name and extra field before a member's data, APPNOTE.TXT 4.3.7
_HOST = re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())[:40]


@dataclass(frozen=True)
class FileStamp:
    """Size in bytes and modification time in nanoseconds: what a cache compares to see that a source is unchanged."""

    size: int
    mtime_ns: int


def stamp(path: str) -> FileStamp:
    """Return the stamp of a file; raises FileNotFoundError where there is none."""
    status = os.stat(path)  # noqa: PTH116 - os.stat is measurably faster than Path.stat over 300,000 files
    return FileStamp(status.st_size, status.st_mtime_ns)


def stamp_or_none(path: str) -> FileStamp | None:
    """Return the stamp of a file, or None where there is none."""
    try:
        return stamp(path)
    except FileNotFoundError:
        return None


def exists(path: str) -> bool:
    """Say whether a file or folder is there."""
    return Path(path).exists()


def is_file(path: str) -> bool:
    """Say whether a file is there."""
    return Path(path).is_file()


def is_dir(path: str) -> bool:
    """Say whether a folder is there."""
    return Path(path).is_dir()


def join(*parts: str) -> str:
    """Join path parts; an absolute later part replaces the earlier ones."""
    return str(Path(*parts))


def base_name(path: str) -> str:
    """Return the last component of a path."""
    return Path(path).name


def absolute(path: str) -> str:
    """Return a path from the root, without ``..`` and trailing slashes."""
    return os.path.abspath(path)  # noqa: PTH100 - links stay what they are


def relative(path: str, root: str) -> str:
    """Return ``path`` as seen from ``root``."""
    return os.path.relpath(path, root)


def walk_files(root: str, suffixes: tuple[str, ...] = ()) -> list[str]:
    """List the files below ``root`` whose names end in one of ``suffixes``, sorted; hidden names are left out.

    Links to folders are followed, each folder once.

    Raises:
        DatasetError: a folder that cannot be listed: its files would be missing without a word.
    """
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_refuse_folder):
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            f"{folder}/{name}"
            for name in names
            if not name.startswith(".") and (not suffixes or name.endswith(suffixes))
        ]
    return sorted(found)


def _refuse_folder(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DatasetError(f"{error.filename}: cannot be listed ({error.strerror}). Mend its permissions.") from error


def list_names(folder: str, suffix: str = "") -> list[str]:
    """Return the names of what lies directly in ``folder`` and ends in ``suffix``; hidden names are left out."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone, of up to 300,000 files
        return [name for name in names if name.endswith(suffix) and not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def list_sizes(folder: str, suffix: str = "") -> dict[str, int]:
    """Return the sizes in bytes of the files directly in ``folder`` whose names end in ``suffix``."""
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat().st_size for e in entries if e.name.endswith(suffix) and not e.name.startswith(".")}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def list_folders(folder: str) -> list[str]:
    """Return the names of the folders directly in ``folder``, sorted."""
    if not is_dir(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def read_bytes(path: str) -> bytes:
    """Return a file's content."""
    descriptor = os.open(path, os.O_RDONLY)  # half the time of open() where there are 300,000 small files
    try:
        size = os.fstat(descriptor).st_size
        content = os.read(descriptor, size + 1)
        if len(content) == size:
            return content
        parts = [content]  # a file over 2 GiB, one that is growing, or none of the disk's
        while part := os.read(descriptor, 1 << 24):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_text(path: str) -> str:
    """Return a file's content as text (UTF-8, a byte order mark is dropped)."""
    return read_bytes(path).decode("utf-8-sig")


def lines_of(path: str) -> Iterator[bytes]:
    """Yield the lines of a file with their ends, one after the other: it may be larger than the memory."""
    with open(path, "rb") as file:  # noqa: PTH123
        yield from file


def last_byte(path: str) -> bytes:
    """Return the last byte of a file, nothing of an empty one or where there is none."""
    found = stamp_or_none(path)
    if found is None or not found.size:
        return b""
    with open(path, "rb") as file:  # noqa: PTH123
        file.seek(found.size - 1)
        return file.read(1)


@lru_cache(maxsize=OPEN_ZIPS_PER_PROCESS)
def _open_zip(path: str, _stamp: FileStamp) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def open_zip(path: str) -> zipfile.ZipFile:
    """Return an open zip archive, kept open for the next call; raises ClipFailedError where it is none."""
    try:
        return _open_zip(path, stamp(path))
    except _ZIP_FAULTS as error:
        raise ClipFailedError(
            "corrupt_zip",
            f"{path}: expected a zip archive that can be read, found {_size_of(path)} ({error}). Download it again.",
        ) from error


def _size_of(path: str) -> str:
    found = stamp_or_none(path)
    return f"{found.size} bytes" if found else "no file"


def read_zip_member(path: str, member: str) -> bytes:
    """Return one member of a zip archive, its checksum verified."""
    try:
        archive = open_zip(path)
        info = archive.getinfo(member)
        plain = not info.flag_bits & _ENCRYPTED
        return _inflate(archive, info) if plain and info.compress_type == zipfile.ZIP_DEFLATED else archive.read(info)
    except _ZIP_FAULTS as error:
        raise ClipFailedError(
            "corrupt_zip", f"{path}: member {member} cannot be read ({error}). Download the archive again."
        ) from error


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return a deflated member. Inflating is a third of reading a clip, so ISA-L does it, faster than zlib."""
    assert archive.fp is not None
    file = archive.fp.fileno()
    header = os.pread(file, _LOCAL_HEADER.size, info.header_offset)
    name_size, extra_size = _LOCAL_HEADER.unpack(header)
    packed = os.pread(file, info.compress_size, info.header_offset + _LOCAL_HEADER.size + name_size + extra_size)
    content: bytes = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(packed, info.file_size + 1)
    if len(content) != info.file_size or isal_zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"wrong size or checksum: {len(content)} bytes, {info.file_size} expected")
    return content


@dataclass(frozen=True)
class MemberPlace:
    """Where the data of a zip member lies: offset and sizes in bytes, its checksum (CRC-32)."""

    offset: int
    packed_size: int
    size: int
    checksum: int
    stored: bool


def place_of_member(path: str, member: str) -> MemberPlace:
    """Return where a stored or deflated member's data lies, by both of its headers; nothing is unpacked.

    Raises:
        ClipFailedError: no such member, an encrypted one, an unknown method, or headers that contradict the file.
    """
    try:
        archive = open_zip(path)
        info = archive.getinfo(member)
        assert archive.fp is not None
        header = os.pread(archive.fp.fileno(), _LOCAL_HEADER.size, info.header_offset)
        offset = info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
        stored = info.compress_type == zipfile.ZIP_STORED
        if info.flag_bits & _ENCRYPTED:
            raise zipfile.BadZipFile("it is encrypted; write the archive without a password")
        if not stored and info.compress_type != zipfile.ZIP_DEFLATED:
            raise zipfile.BadZipFile(f"compression method {info.compress_type}, 0 (stored) or 8 (deflated) expected")
        if not header.startswith(_LOCAL_SIGNATURE) or (stored and info.compress_size != info.file_size):
            raise zipfile.BadZipFile("its headers contradict each other")
        if offset + info.compress_size > stamp(path).size:
            raise zipfile.BadZipFile("it would end behind the archive's end")
        return MemberPlace(offset, info.compress_size, info.file_size, info.CRC, stored)
    except _ZIP_FAULTS as error:
        raise ClipFailedError(
            "corrupt_zip", f"{path}: member {member} cannot be read ({error}). Download the archive again."
        ) from error


def write_atomic(path: str, content: str | bytes) -> None:
    """Write a file so that under its name there is either the old content or all of the new one."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


@contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends without an error."""
    folder, name = os.path.split(path)
    # Cut, so that the longest legal name still fits into a file name; the checksum keeps two of them apart.
    # The thread's number, because two threads may write the same file.
    short = f"{name[:80]}.{zlib.crc32(os.fsencode(name)):08x}.{threading.get_ident():x}"
    temporary = f"{folder or '.'}/.{short}.{_HOST}-{os.getpid()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - hot path
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def open_append(path: str) -> IO[str]:
    """Open a text file (UTF-8) to add lines to."""
    return Path(path).open("a", encoding="utf-8", errors="backslashreplace")


def remove(path: str) -> None:
    """Delete a file if it is there."""
    Path(path).unlink(missing_ok=True)


def parent(path: str) -> str:
    """Return the folder that a path lies in."""
    return str(Path(path).parent)


def copy(source: str, target: str) -> None:
    """Copy a file with its times, creating the folders it needs."""
    make_parents(target)
    with atomic_path(target) as temporary:
        shutil.copy2(source, temporary)


def make_parents(path: str) -> None:
    """Create the folders that a file's path needs."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)


def make_dir(path: str) -> str:
    """Create a folder and its parents, and make sure that it can be written to; returns ``path``."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        probe = Path(path, f".probe.{_HOST}-{os.getpid()}.tmp")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be written to ({error.strerror or error}). Choose another folder, or mend its permissions."
        ) from error
    return path


def remove_leftovers(folder: str) -> int:
    """Delete temporary files that dead processes of this host left in ``folder``; returns how many."""
    removed = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = _TEMPORARY.match(entry.name)
                if match and match["host"] == _HOST and not _is_alive(int(match["pid"])):
                    remove(entry.path)
                    removed += 1
    except (FileNotFoundError, NotADirectoryError):  # or somebody deletes it just now
        return removed
    return removed


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a process that nobody has reaped yet is as dead as one that is gone
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # no /proc on this system
        return True
    return state != "Z"


@contextmanager
def exclusive(path: str) -> Iterator[None]:
    """Hold a lock file for the length of the block; raises DatasetError where another process holds it."""
    with open(path, "a") as file:  # noqa: PTH123
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(
                f"{Path(path).parent}: another run is writing here. Wait for it, or choose another folder."
            ) from error
        yield


def is_disk_full(error: OSError) -> bool:
    """Say whether a write failed for want of room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
