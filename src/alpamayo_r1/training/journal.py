"""The curve of a training, as lines of JSON and for TensorBoard; and where it stands, in a line for people."""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from driving_clips import files

LOSSES = "losses.jsonl"
BOARD = "tensorboard"
_TOLD = {"loss": "loss", "val_loss": "validation"}


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
        self._board = SummaryWriter(str(out / BOARD), purge_step=step + 1)
        self._first = self._step = step
        self._begun = time.monotonic()
        self._latest: dict[str, float] = {}

    def write(self, step: int, **values: float | int) -> None:
        """Write what was measured after a step."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        self._step, self._latest = step, self._latest | values
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def told(self, steps: int) -> str:
        """Return how far a training of so many steps is.

        Example:
            >>> Journal(Path("out"), step=0).told(600)  # doctest: +SKIP
            'step 120 of 600: loss 1.2345, validation 1.3021, 2.1 steps/s, 0:03:49 left'
        """
        made = self._step - self._first
        parts = [f"{told} {self._latest[name]:.4f}" for name, told in _TOLD.items() if name in self._latest]
        if made:
            rate = made / (time.monotonic() - self._begun)
            left = timedelta(seconds=round((steps - self._step) / rate))
            parts += [f"{rate:.2g} steps/s", f"{left} left"]
        return f"step {self._step} of {steps}: {', '.join(parts) or 'begun'}"

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
