"""The folder of an export: all its files change at once, and what another program put there is left alone."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from coc_labeling.errors import CocLabelingError
from driving_clips import files

MANIFEST, CARD = "export.json", "README.md"
_LOCK = ".export.lock"
_FOLDERS = ("data", "reasoning", "splits")
_OWN = re.compile(r"README\.md|(?:data|reasoning|splits)/[a-z0-9_]{1,60}\.[a-z]{1,10}")


class ExportFolder:
    """A folder that is being written.

    Nothing is seen under its name before all is written; an earlier export stays as it was until then, and of it goes
    what the new one has no more. After a kill the same command writes it anew.
    """

    def __init__(self, path: str, stack: ExitStack) -> None:
        self._path, self._stack = path, stack
        self._names: list[str] = []
        self._about: Mapping[str, Any] = {}
        # First in, last out: whoever finds a card finds the files that it tells of.
        self._card = self.create(CARD)

    @property
    def names(self) -> list[str]:
        """The files that were created, without the card, in order."""
        return [name for name in self._names if name != CARD]

    def create(self, name: str) -> str:
        """Return a temporary path for a file, which takes its name when all is written.

        Args:
            name: below the folder, such as ``data/sft.jsonl``; ``data``, ``reasoning`` and ``splits`` are the folders.
        """
        if not _OWN.fullmatch(name) or name in self._names:
            raise ValueError(f"{name!r} is no name of a file in an export, or is being written already")
        path = files.join(self._path, name)
        files.make_parents(path)
        self._names.append(name)
        return self._stack.enter_context(files.atomic_path(path))

    def describe(self, card: str, about: Mapping[str, Any]) -> None:
        """Write the card, and keep what the manifest is to say of the export."""
        files.write_atomic(self._card, card)
        self._about = about

    def publish(self) -> None:
        """Give all files their names, delete those of an earlier export, and write the manifest."""
        earlier = earlier_files(self._path) or []
        manifest = files.join(self._path, MANIFEST)
        every = sorted({*earlier, *self._names})
        files.write_atomic(manifest, _json({"state": "writing", "files": dict.fromkeys(every)}))
        self._stack.close()
        for name in set(earlier) - set(self._names):
            files.remove(files.join(self._path, name))
        sizes = {name: files.stamp(files.join(self._path, name)).size for name in sorted(self._names)}
        files.write_atomic(manifest, _json({"state": "complete", **self._about, "files": sizes}))


@contextmanager
def opened(path: str) -> Iterator[ExportFolder]:
    """Create an export's folder, lock it, and yield it; when the block ends without an error it is published.

    Raises:
        CocLabelingError: other files lie there.
        DatasetError: it cannot be written to, or another export is writing there.
    """
    if files.exists(path) and not files.is_dir(path):
        raise CocLabelingError(f"{path}: is a file. --out names a folder.")
    files.make_dir(path)
    if earlier_files(path) is None and _is_used(path):
        raise CocLabelingError(
            f"{path}: holds files that are no export, and they might be overwritten. Choose a new folder for --out."
        )
    with files.exclusive(files.join(path, _LOCK)):
        for name in ("", *_FOLDERS):
            files.remove_leftovers(files.join(path, name))
        with ExitStack() as stack:
            folder = ExportFolder(path, stack)
            yield folder
            folder.publish()


def earlier_files(path: str) -> list[str] | None:
    """Return the files of the export that lies in a folder; None where there is none."""
    try:
        manifest = json.loads(files.read_text(files.join(path, MANIFEST)))
        return [name for name in manifest["files"] if _OWN.fullmatch(name)]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CocLabelingError(
            f"{path}: expected the manifest of an export in {MANIFEST} ({error}). Choose another folder."
        ) from error


def _is_used(path: str) -> bool:
    """Say whether a folder holds anything but the empty folders of an export that was killed."""
    folders = files.list_folders(path)
    if set(files.list_names(path)) != set(folders):
        return True
    return any(name not in _FOLDERS or files.list_names(files.join(path, name)) for name in folders)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
