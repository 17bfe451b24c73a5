"""Real vLLM servers on the CPU."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

MODEL = "tiny"
MAX_MODEL_LEN = 4096
LONGEST_START_S = 240.0
LONGEST_END_S = 20.0
FLAGS = [
    *("--served-model-name", MODEL),
    *("--host", "127.0.0.1"),
    *("--max-model-len", str(MAX_MODEL_LEN)),
    *("--dtype", "bfloat16"),
    "--enforce-eager",
    *("--max-num-seqs", "16"),
    *("--limit-mm-per-prompt", '{"image":32,"video":1}'),
    *("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}'),
    "--enable-prompt-tokens-details",
    "--enable-prefix-caching",
    "--disable-uvicorn-access-log",
]
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
}


class VllmServer:
    """``vllm serve`` on a port of its own, which it keeps when it is started again.

    Args:
        checkpoint: the model's folder.
        log: a file, to which each start appends.
    """

    def __init__(self, checkpoint: Path, log: Path) -> None:
        self.checkpoint = checkpoint
        self.log = log
        self.port = _free_port()
        self._process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """What ``server_ip`` takes."""
        return f"127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI's clients take."""
        return f"http://{self.address}/v1"

    def launch(self) -> None:
        """Start it, and do not wait."""
        vllm = Path(sys.executable).parent / "vllm"
        command = [str(vllm), "serve", str(self.checkpoint), "--port", str(self.port), *FLAGS]
        with self.log.open("ab") as log:
            # A session of its own: what it started ends with it, also where it is killed.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | ENVIRONMENT, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it can be asked; raises RuntimeError with the end of its log where it does not start."""
        assert self._process is not None
        deadline = time.monotonic() + LONGEST_START_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.get("/health")
                return
            time.sleep(0.2)
        self.kill()
        raise RuntimeError(f"vllm serve did not start; the end of {self.log}:\n{self.log_end()}")

    def start(self) -> None:
        """Start it, and wait until it can be asked."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """End it and what it started at once, as a crash does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(LONGEST_END_S)
            self._process = None

    def get(self, path: str) -> str:
        """Return what it says at a path."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
            return answer.read().decode()

    def is_up(self) -> bool:
        """Say whether it can be asked."""
        try:
            self.get("/health")
        except OSError:
            return False
        return True

    def metric(self, name: str) -> float:
        """Return the sum of a counter, such as ``vllm:prompt_tokens_total``, over its labels."""
        values = re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        assert values, f"/metrics has no {name}"
        return sum(map(float, values))

    def log_end(self, lines: int = 60) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
