"""The folder of an export: all its files change at once, and what another program put there is left alone."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from coc_labeling.errors import CocLabelingError
from driving_clips import files

MANIFEST, CARD = "export.json", "README.md"
_LOCK = ".export.lock"
_FOLDERS = ("data", "llama_factory", "reasoning", "splits")
_FOLDER_NAMES = "|".join(_FOLDERS)
_OWN = re.compile(rf"README\.md|[a-z0-9_]{{1,60}}\.(?:json|xml)|(?:{_FOLDER_NAMES})/[a-z0-9_-]{{1,80}}\.[a-z]{{1,10}}")


class ExportFolder:
    """A folder that is being written.

    Nothing is seen under its name before all is written; an earlier export stays as it was until then, and of it goes
    what the new one has no more. After a kill the same command writes it anew.
    """

    def __init__(self, path: str, stack: ExitStack) -> None:
        self.path, self._stack = path, stack
        self._names: list[str] = []
        self._final: dict[str, str] = {}
        self._last: list[Callable[[], None]] = []
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
            name: below the folder, such as ``data/sft.jsonl``; ``data``, ``llama_factory``, ``reasoning`` and
                ``splits`` are the folders, and directly in it lie files whose names end in ``.json`` or ``.xml``.
        """
        if not _OWN.fullmatch(name) or name in self._names or name == MANIFEST:
            raise ValueError(f"{name!r} is no name of a file in an export, or is being written already")
        path = files.join(self.path, name)
        files.make_parents(path)
        self._names.append(name)
        return self._stack.enter_context(files.atomic_path(path))

    def rename(self, name: str, final: str) -> None:
        """Give a file that was created another name in the end, such as one that says how many there are."""
        if not _OWN.fullmatch(final):
            raise ValueError(f"{final!r} is no name of a file in an export")
        self._final[name] = final

    def in_the_end(self, step: Callable[[], None]) -> None:
        """Have something done when all files have their names: deleting what is not needed any more."""
        self._last.append(step)

    def claim(self) -> None:
        """Mark the folder as an export's, so that one that is killed is gone on with."""
        path = files.join(self.path, MANIFEST)
        if not files.exists(path):
            files.write_atomic(path, _json({"state": "writing", "files": {}}))

    def describe(self, card: str, about: Mapping[str, Any]) -> None:
        """Write the card, and keep what the manifest is to say of the export."""
        files.write_atomic(self._card, card)
        self._about = about

    def publish(self) -> None:
        """Give all files their names, delete those of an earlier export, and write the manifest."""
        earlier = earlier_files(self.path) or []
        manifest = files.join(self.path, MANIFEST)
        names = {self._final.get(name, name) for name in self._names}
        every = sorted({*earlier, *self._names, *names})
        files.write_atomic(manifest, _json({"state": "writing", "files": dict.fromkeys(every)}))
        self._stack.close()
        for name, final in self._final.items():
            Path(self.path, name).replace(Path(self.path, final))
        for name in set(earlier) - names:
            files.remove(files.join(self.path, name))
        for step in self._last:
            step()
        sizes = {name: files.stamp(files.join(self.path, name)).size for name in sorted(names)}
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
