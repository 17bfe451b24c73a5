from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.fake_openai import FakeOpenAI
from builders.model_runs import (
    KEY,
    KEY_NAME,
    ModelCommand,
    Pauses,
    in_this_process,
    log_text,
    prepare_with_videos,
    secrets_in,
)
from builders.runs import Inputs, prepare
from coc_labeling.model_clients.vlm_wrappers.chat import ChatWrapper


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Inputs:
    """Four clips with their meta-actions and keyframes; tests do not write there."""
    return prepare(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def model_inputs(tmp_path_factory) -> Inputs:
    """Four clips with small videos, their meta-actions and keyframes; tests do not write there."""
    return prepare_with_videos(tmp_path_factory.mktemp("model_inputs"))


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    """A fake model server."""
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def spawning(model_inputs, tmp_path, server, monkeypatch) -> ModelCommand:
    """Step 3 against the server, as users run it, but that pauses between attempts take no time."""
    pauses = Pauses()
    monkeypatch.setattr(ChatWrapper, "timing", pauses.timing)
    monkeypatch.setenv(KEY_NAME, KEY)
    monkeypatch.chdir(tmp_path)
    return ModelCommand(model_inputs, tmp_path, server, pauses)


@pytest.fixture
def model(spawning) -> Iterator[ModelCommand]:
    """The same, quickly: see ``in_this_process``."""
    with in_this_process():
        yield spawning


@pytest.fixture
def seen_secrets(tmp_path: Path, capfd, caplog):
    """Return where secrets are seen: files below the test's folder, what was printed, and log records."""
    caplog.set_level("DEBUG")

    def find(*secrets: str) -> list[str]:
        return secrets_in(tmp_path, secrets or (KEY,), *capfd.readouterr(), log_text(caplog.records))

    return find
