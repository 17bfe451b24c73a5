"""The curve of a training, as lines of JSON and for TensorBoard."""

import json
from pathlib import Path
from typing import Any

from driving_clips import files

LOSSES = "losses.jsonl"
_BOARD = "tensorboard"


class Journal:
    """Writes what is measured at steps: a line each in ``losses.jsonl``, and curves below ``tensorboard``.

    What an earlier run wrote after the step it is gone on from is dropped.
    """

    def __init__(self, out: Path, step: int) -> None:
        """Go on after ``step``."""
        from torch.utils.tensorboard import SummaryWriter

        self._path = out / LOSSES
        kept = [line for line in _lines(self._path) if line.get("step", 0) <= step]
        files.write_atomic(str(self._path), "".join(json.dumps(line) + "\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(out / _BOARD), purge_step=step + 1)

    def write(self, step: int, **values: float | int) -> None:
        """Write what was measured after a step."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file; the last one may be cut off."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            found.append(content)
    return found
