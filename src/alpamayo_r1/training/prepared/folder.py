"""The folder of prepared scenes: who made it and how, its shards, and the index that says it is complete."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.prepared import shards
from driving_clips import files

SETTINGS = "prepared.json"
FORMAT_VERSION = 1  # raise it when the shards change
_LOCK = ".lock"


@dataclass(frozen=True)
class PreparedFolder:
    """A folder of prepared scenes."""

    path: str

    @contextmanager
    def opened(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Create the folder, lock it, and mark how its scenes are made.

        Raises:
            AlpamayoError: its scenes were made otherwise, or it holds other files.
            DatasetError: it cannot be written to, or another run is writing there.
        """
        if files.is_file(self.path):
            raise AlpamayoError(f"{self.path}: is a file. The prepared scenes need a folder.")
        files.make_dir(self.path)
        with files.exclusive(files.join(self.path, _LOCK)):
            files.remove_leftovers(self.path)
            self._claim(settings)
            yield

    def _claim(self, settings: Mapping[str, Any]) -> None:
        path = files.join(self.path, SETTINGS)
        own = {"format_version": FORMAT_VERSION, **settings}
        if not files.exists(path):
            if files.list_names(self.path):
                raise AlpamayoError(f"{self.path}: holds files that are no prepared scenes. Choose another folder.")
            files.write_atomic(path, json.dumps(own, indent=2, ensure_ascii=False) + "\n")
            return
        kept = self.settings()
        different = [f"{k} was {kept.get(k)!r} and is {own.get(k)!r}" for k in own | kept if kept.get(k) != own.get(k)]
        if different:
            raise AlpamayoError(
                f"{self.path}: its scenes were prepared otherwise: {'; '.join(different)}. Choose another folder, or "
                "delete this one."
            )

    def settings(self) -> dict[str, Any]:
        """Return how the folder's scenes are made; raises AlpamayoError where it does not say."""
        path = files.join(self.path, SETTINGS)
        try:
            kept: dict[str, Any] = json.loads(files.read_text(path))
            return dict(kept.items())
        except (OSError, ValueError, AttributeError) as error:
            raise AlpamayoError(f"{path}: expected the settings of prepared scenes ({error}).") from error

    def is_complete(self, places: Mapping[str, Any]) -> bool:
        """Say whether all that can be had was prepared, from the same places."""
        path = files.join(self.path, shards.INDEX)
        if not files.exists(path):
            return False
        try:
            about = shards.opened(path, shards.INDEX_SCHEMA).schema.metadata[b"about"]
            return bool(json.loads(about) == dict(places))
        except (AlpamayoError, ValueError, KeyError, TypeError):
            return False  # it is made again from the shards

    def scenes(self) -> set[tuple[str, int]]:
        """Return clip and t0 of the scenes that are there; a damaged shard is deleted, to be made again."""
        found: set[tuple[str, int]] = set()
        for name in shards.shard_names(self.path):
            try:
                rows = shards.rows_of(self.path, name)
                found.update(zip(*(rows.column(key).to_pylist() for key in ("clip_id", "t0_us")), strict=True))
            except AlpamayoError:
                files.remove(files.join(self.path, name))
        return found

    def complete(self, places: Mapping[str, Any]) -> None:
        """Write the index over all shards: the folder is complete."""
        shards.write_index(self.path, json.dumps(dict(places)).encode())
