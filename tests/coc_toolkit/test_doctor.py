import os
import subprocess
import sys
import tomllib

import pytest

from builders.coc import coc
from builders.golden import TESTS
from coc_toolkit import doctor
from coc_toolkit.doctor import CREDENTIALS, EXTRAS, examine

MARKER = "sk-marker-5f1c0ffee"


def texts(section: str) -> list[str]:
    return [finding.text for finding in examine() if finding.section == section]


@pytest.mark.parametrize("variable", sorted({v for variables, _ in CREDENTIALS.values() for v in variables}))
def test_the_value_of_a_credential_is_never_told(monkeypatch, variable):
    monkeypatch.setenv(variable, MARKER)
    answer = coc("doctor")
    assert variable in answer.out
    assert MARKER not in answer.out + answer.err
    assert MARKER[-6:] not in answer.out + answer.err


def test_a_credential_that_is_there_is_told_as_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", MARKER)
    assert any(text.startswith("OpenAI (OPENAI_API_KEY): set") for text in texts("Credentials"))


def test_an_empty_credential_is_not_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert any(text.startswith("OpenAI (OPENAI_API_KEY): not set") for text in texts("Credentials"))


def test_half_a_credential_pair_is_not_set(monkeypatch):
    monkeypatch.setenv("NVHOST_OAI_CLIENT_ID", MARKER)
    monkeypatch.delenv("NVHOST_OAI_CLIENT_SECRET", raising=False)
    assert any("NVHOST_OAI_CLIENT_SECRET): not set" in text for text in texts("Credentials"))


def test_every_extra_is_told_with_its_purpose():
    told = texts("Extras")
    assert len(told) == len(EXTRAS)
    assert all(any(text.startswith(f"{extra}: ") for text in told) for extra in EXTRAS)


def test_a_missing_extra_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    (text,) = (text for text in texts("Extras") if text.startswith("vlm: "))
    assert "not installed (av, openai)" in text
    assert "pip install" in text
    assert "[vlm]" in text


def test_every_extra_of_the_package_is_known():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])


def test_a_missing_base_package_is_bad(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "pyarrow" else real(name))
    answer = coc("doctor")
    assert answer.code == 1
    assert "BAD pyarrow is missing" in answer.out


def test_the_machine_is_told():
    assert any("cores" in text for text in texts("Machine"))


def test_nothing_comes_before_ours_here():
    assert texts("Shadowing") == ["no other package or command of our names comes before ours"]


def test_another_command_of_our_name_is_told(tmp_path, monkeypatch):
    fake = tmp_path / "coc"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (text,) = texts("Shadowing")
    assert text.startswith(f"command coc on PATH is {fake}")


@pytest.mark.parametrize("form", ["package", "module", "namespace"])
def test_another_package_of_our_name_is_told(tmp_path, form):
    if form == "module":
        (tmp_path / "coc_labeling.py").write_text("")
    else:
        (tmp_path / "coc_labeling").mkdir()
    if form == "package":
        (tmp_path / "coc_labeling" / "__init__.py").write_text("")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "doctor"]
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    shadowed = form != "namespace"  # a folder without __init__ loses against a real package
    assert answer.returncode == int(shadowed), answer.stderr
    assert (f"package coc_labeling comes from {tmp_path}" in answer.stdout) == shadowed
    assert "Traceback" not in answer.stderr
