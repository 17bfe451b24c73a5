import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.vlm_wrappers import MODEL_WRAPPER_REGISTRY, ModelSettings, create_model_wrapper
from driving_clips import registry


class Own:
    """As the documentation says: a constructor, add_message and infer."""

    def __init__(self, model_name, init_model=True, ip_addr=None, timeout_sec=600):
        self.given = (model_name, init_model, ip_addr, timeout_sec)

    def add_message(self, role, m_type, content):
        return {"role": role, "content": content}

    def infer(self, messages, **parameters):
        return {"content": "own"}


def test_own_wrapper_by_registry(monkeypatch):
    monkeypatch.setitem(MODEL_WRAPPER_REGISTRY, "own", Own)
    wrapper = create_model_wrapper("own", ip_addr="gpu", timeout_sec=5, settings=ModelSettings(("gpu",)))
    assert wrapper.given == ("own", True, "gpu", 5)


def test_own_wrapper_by_entry_point(monkeypatch):
    entry = EntryPoint("own", f"{__name__}:Own", "coc_labeling.model_wrappers")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Own)
    monkeypatch.setattr(registry, "_extensions", lambda group: {entry.name: entry})
    assert isinstance(create_model_wrapper("own"), Own)


def test_unknown_name_lists_the_known():
    with pytest.raises(CocLabelingError, match=r"unknown model_name 'gpt4'; known: .*qwen3\.5_35b.*dummy"):
        create_model_wrapper("gpt4")


def test_import_needs_no_client():
    code = (
        "import sys; sys.modules['openai'] = sys.modules['httpx2'] = None\n"
        "from coc_labeling.model_clients.vlm_wrappers import create_model_wrapper\n"
        "print(create_model_wrapper('dummy').infer([])['text'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "dummy answer"
