"""Encoded videos on the disk, outside of runs; the folder may be deleted at any time."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coc_labeling.review.material.errors import MaterialError, told
from coc_labeling.review.material.remembering import Remembered
from driving_clips import files

MOST_BYTES = 20 * 10**9
IN_USE_SEC = 60.0  # a file so recently asked for is about to be read, and stays
_VERSION = 1  # counts how videos are made: raise it when that changes
_SUFFIX = ".mp4"


class VideoCache:
    """Files named by a hash of what they show; the ones not asked for longest make room."""

    def __init__(self, folder: str, most_bytes: int = MOST_BYTES) -> None:
        """Keep up to about ``most_bytes`` in a folder, which is created when something is kept."""
        self.folder, self._most_bytes = folder, most_bytes
        # Which threads wait for which file, and what failed of late; what is made is looked up on the disk.
        self._making: Remembered[str, str] = Remembered(limit=1000)
        self._trimming = threading.Lock()

    def get(self, shown: Any, encode: Callable[[str], None]) -> str:
        """Return the path of a video, made by ``encode(path)`` where it is not there; by one thread, once.

        Args:
            shown: all that decides what the video looks like, as JSON-able values.
            encode: writes it to a path.

        Raises:
            MaterialError: ``encode`` has raised it, now or a little while ago; or the folder cannot be written to.
        """
        name = hashlib.sha256(json.dumps([_VERSION, shown]).encode()).hexdigest()[:40] + _SUFFIX
        path = files.join(self.folder, name)
        made = self._making.get(name, lambda: self._make(path, encode))
        if not _touch(made):  # deleted since
            self._making.forget(name)
            made = self._making.get(name, lambda: self._make(path, encode))
        return made

    def _make(self, path: str, encode: Callable[[str], None]) -> str:
        if _touch(path):
            return path
        with told(self.folder):
            files.make_parents(path)
            files.remove_leftovers(self.folder)
            with files.atomic_path(path) as temporary:
                encode(temporary)
            self._trim()
        return path

    def _trim(self) -> None:
        """Delete what was not asked for longest, until the rest fits."""
        with self._trimming:
            sizes = files.list_sizes(self.folder, _SUFFIX)
            excess = sum(sizes.values()) - self._most_bytes
            if excess <= 0:
                return
            stamps = {name: files.stamp_or_none(files.join(self.folder, name)) for name in sizes}
            asked_ns = {name: stamp.mtime_ns for name, stamp in stamps.items() if stamp}
            in_use_ns = time.time_ns() - round(IN_USE_SEC * 1e9)
            for name in sorted(asked_ns, key=asked_ns.__getitem__):
                if excess <= 0 or asked_ns[name] > in_use_ns:
                    return
                files.remove(files.join(self.folder, name))
                excess -= sizes[name]


def _touch(path: str) -> bool:
    """Note that a file is used now; returns whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:  # somebody else's: it can be read, but is taken for older than it is
        return files.is_file(path)
    return True


def default_folder(environment: Mapping[str, str] = os.environ) -> str:
    """Return the folder for videos of all runs below the user's cache folder; raises MaterialError without a home."""
    base = environment.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the specification of base directories ignores relative ones
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError as error:
            raise MaterialError(f"no folder to keep videos in ({error}). Start coc review with --cache_dir.") from error
    return files.join(base, "coc-toolkit", "review")
