"""Parts of files, such as members of archives that are stored as they are, read in place."""

import io
import os
import stat

from driving_clips.errors import ClipFailedError


class FilePart(io.RawIOBase):
    """A part of a file, read in place like a file of its own; the rest of the file does not exist for it."""

    _file = -1  # none yet; closing must be possible where opening has failed

    def __init__(self, path: str, offset: int = 0, size: int | None = None) -> None:
        """Open the file.

        Raises:
            ClipFailedError: it is no regular file.
            OSError: it cannot be opened.
        """
        self._file = _open_regular(path)
        self._offset = offset
        self._position = 0
        self.size = os.fstat(self._file).st_size - offset if size is None else size

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read in any order."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position in bytes, as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes from the position on, b"" at the end."""
        left = max(0, self.size - self._position)
        content = os.pread(self._file, left if size < 0 else min(size, left), self._offset + self._position)
        self._position += len(content)
        return content

    def close(self) -> None:
        """Give the file back."""
        if not self.closed and self._file >= 0:
            os.close(self._file)
        super().close()


def _open_regular(path: str) -> int:
    """Open a file to read; a pipe or a device under a file's name would keep its reader waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        found = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
        raise ClipFailedError("unreadable", f"{path}: expected a regular file, found {found}. Replace or remove it.")
    return descriptor
