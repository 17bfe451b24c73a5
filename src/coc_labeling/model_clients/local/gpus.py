"""What nvidia-smi says: which GPUs this process sees, and how busy they are. No CUDA context is opened for it."""

import contextlib
import subprocess
import threading
from collections.abc import Mapping, Sequence

from coc_labeling.model_clients.local.placement import Gpu

SAMPLE_EVERY_S = 2
_LONGEST_S = 30.0


def visible_gpus(environ: Mapping[str, str]) -> list[Gpu]:
    """Return the GPUs that CUDA would show this process, in its order; none where there is no nvidia-smi."""
    listed = _smi("index,uuid,name,memory.total")
    named = {key: row for row in listed for key in (row[0], row[1])}
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    keys = [row[0] for row in listed] if wanted is None else [key.strip() for key in wanted.split(",")]
    found: list[Gpu] = []
    for key in keys:
        row = named.get(key) or next((row for row in listed if key and row[1].startswith(key)), None)
        if row is None:
            break  # CUDA ignores what follows an unknown one
        found.append(Gpu(row[0], row[2], int(row[3]) * 2**20))
    return found


def _smi(fields: str) -> list[list[str]]:
    try:
        answer = subprocess.run(  # noqa: S603 - the fields are ours
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],  # noqa: S607 - wherever it is
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = ([cell.strip() for cell in line.split(",")] for line in answer.stdout.splitlines())
    return [row for row in rows if len(row) == len(fields.split(",")) and row[-1].isdecimal()]


class Utilization:
    """Samples how busy all GPUs of this machine are, from ``start`` to ``stop``, by one nvidia-smi that goes on."""

    def __init__(self) -> None:
        self._is_started = False
        self._process: subprocess.Popen[str] | None = None
        self._samples: list[float] = []

    def start(self) -> None:
        """Begin, where there is an nvidia-smi; calling it again does nothing."""
        if self._is_started:
            return
        self._is_started = True
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - it dies of a broken pipe where this process is killed
                [*command, f"--loop={SAMPLE_EVERY_S}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                process_group=0,  # a Ctrl-C at the terminal is not for it
            )
            threading.Thread(target=self._read, args=(self._process,), name="gpu-samples", daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self._samples.append(float(line))

    def stop(self) -> None:
        """End; what was sampled stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def mean(self) -> float | None:
        """Return the mean in percent, None without a sample."""
        return mean(self._samples)


def mean(values: Sequence[float]) -> float | None:
    """Return a mean, None of nothing."""
    return sum(values) / len(values) if values else None
