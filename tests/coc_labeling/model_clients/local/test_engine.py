"""What of the engine shows where vLLM cannot be imported."""

import asyncio

import pytest

from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.local import logs
from coc_labeling.model_clients.local.engine import Engine


def test_an_import_that_fails_is_told_and_leaves_nothing_to_end(tmp_path, monkeypatch):
    def fails(log_path):
        raise ImportError("libtorch_cuda.so: cannot open shared object file")

    monkeypatch.setattr(logs, "import_quietly", fails)
    engine = Engine({}, (None, None), str(tmp_path / "vllm.log"))
    for _ in range(2):
        with pytest.raises(ModelUnusable, match=r"libtorch_cuda\.so.*docs/local_models\.md"):
            asyncio.run(engine.start())
    engine.close()
    engine.close()
    assert engine._loop_thread is not None
    assert not engine._loop_thread.is_alive()
