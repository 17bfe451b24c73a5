"""What vLLM's own processes do first, where this package started them: leave the terminal's group, die with us.

vLLM calls ``isolate`` as a plugin (``vllm.general_plugins``) in every process of an engine. It imports no more than it
needs, and does nothing in engines of others.
"""

import ctypes
import multiprocessing
import os
import signal
import sys

OWNER = "COC_VLLM_OWNER"  # the process id of whoever starts engines; set by local/engine.py only
LOG = "COC_VLLM_LOG"  # where an engine's output goes
NAME = "coc_labeling"  # of the plugin
_PR_SET_PDEATHSIG = 1


def isolate() -> None:
    """Set up a process of an engine.

    Ctrl-C at a terminal reaches its whole foreground group: a run that finishes what is in flight needs an engine
    which does not end at the first one. And where this process is killed, nobody is left to end the engine; the
    kernel does, when the thread ends that started it (``local/engine.py`` keeps that thread).
    """
    owner, parent = os.environ.get(OWNER), multiprocessing.parent_process()
    if not owner or owner == str(os.getpid()) or parent is None:
        return
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent.pid:  # it was killed before the line above
            os._exit(1)
    if log := os.environ.get(LOG):
        _redirect(log)


def _redirect(path: str) -> None:
    """Send what libraries print past Python's logging into the log as well."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
