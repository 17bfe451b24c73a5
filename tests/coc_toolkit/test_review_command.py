import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys

import httpx2
import pytest

from builders.coc import coc
from builders.commands import contents
from builders.exports import experiment
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.review.web.access import SECRET, Access
from coc_toolkit import review_command

LASTING = "a secret that outlives a restart, of tests alone"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SECRET, raising=False)
    return experiment(tmp_path, ["clip-a", "clip-b"])


@pytest.fixture
def unserved(monkeypatch):
    """The command without its server: the application and its port."""
    given = []
    monkeypatch.setattr(review_command, "_run", lambda app, listening: given.append((app, listening.getsockname())))
    return given


def link_of(out: str, name: str) -> str:
    return re.search(rf"  {name} +(http://\S+)", out)[1]


def test_it_serves_until_ctrl_c(run, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", "from coc_toolkit.cli import main; main()", "review", str(run), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "300", "USER": "ann", "LOGNAME": "ann"},
    )
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        link = link_of(said, "ann")
        with httpx2.Client(follow_redirects=True, timeout=20) as client:
            answer = client.get(link)
            assert (answer.status_code, str(answer.url).partition("?")[1]) == (200, "")
            assert "Continue" in answer.text
            assert "server" not in answer.headers
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert (process.returncode, "Stopped." in rest) == (0, True)
    assert link.partition("token=")[2] not in rest
    secret = link.partition("token=")[2].encode()
    assert not [name for name, content in contents(tmp_path).items() if secret in content]


def test_without_names_there_are_one_reviewer_and_an_admin(run, unserved, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "m\u00fcller/../x")
    answer = coc("review", run, "--port", 0)
    assert answer.code == 0, answer.err
    assert "labels: 3 new, 1 abstentions" in answer.out
    assert "queue: 3 labels" in answer.out
    assert "note: one reviewer only" in answer.out
    assert "note: no auditor" in answer.out
    store = ReviewStore.of_run(str(run))
    assert store.people() == {"admin": Role.ADMIN, "mller..x": Role.REVIEWER}
    store.close()


@pytest.mark.parametrize("user", ["admin", "", "../.."])
def test_a_user_without_a_usable_name_is_called_reviewer(run, unserved, monkeypatch, user):
    monkeypatch.setattr("getpass.getuser", lambda: user)
    assert "reviewer  reviewer  http" in coc("review", run, "--port", 0).out


def test_labels_stay_as_they_are(run, unserved):
    before = contents(run)
    assert coc("review", run, "--port", 0).code == 0
    after = contents(run)
    assert {name: after[name] for name in before} == before
    assert {name.partition("-")[0] for name in set(after) - set(before)} == {"reviews.sqlite"}


def test_people_are_known_from_then_on_and_links_stay_with_the_secret(run, unserved, monkeypatch):
    monkeypatch.setenv(SECRET, LASTING)
    first = coc("review", run, "--port", 0, "--reviewer", "ann", "--reviewer", "bob", "--auditor", "cat")
    assert "note: one" not in first.out
    assert "note: no auditor" not in first.out
    again = coc("review", run, "--port", 0)
    assert "labels: 0 new" in again.out
    assert "queue" not in again.out
    for name in ("ann", "bob", "cat"):
        token = link_of(first.out, name).partition("token=")[2]
        assert token == link_of(again.out, name).partition("token=")[2]
        assert token == Access.of_run(str(run), {SECRET: LASTING}).token(name)
    assert "admin" not in again.out


def test_labels_of_a_run_that_is_right_are_planted(run, unserved, tmp_path):
    gold = experiment(tmp_path / "gold", ["clip-c", "clip-d"])
    answer = coc("review", run, "--port", 0, "--reviewer", "ann", "--gold", gold, "--planted-share", 1)
    assert answer.code == 0, answer.err
    assert "note: planted: 3 labels known to be right, 0 with an error" in answer.out
    assert "note: no error is planted, since the dataset cannot be read" in answer.out
    tasks = sqlite3.connect(run / "reviews.sqlite").execute("SELECT kind FROM tasks").fetchall()
    assert sorted(tasks) == [("first",)] * 3 + [("planted_good",)] * 3


def test_settings_reach_the_queue(run, unserved):
    options = ("--reviewer", "ann", "--reviewer", "bob", "--batch-size", 1, "--second-share", 1, "--blank-share", 1)
    assert coc("review", run, "--port", 0, *options).code == 0
    tasks = sqlite3.connect(run / "reviews.sqlite").execute("SELECT kind, blank FROM tasks").fetchall()
    assert sorted(tasks) == [("first", 1)] * 3 + [("second", 1)] * 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--reviewer", "ann/bob"), "letters, digits"),
        (("--reviewer", "ann", "--auditor", "ann"), "is known as reviewer"),
        (("--reviewer", "ann", "--second-share", 0.5), "needs two reviewers"),
        (("--reviewer", "ann", "--audit-share", 0.5), "nobody is an auditor"),
        (("--blank-share", 2), "from 0 to 1"),
        (("--random-share", 0), "random_share"),
        (("--auditor", "cat"), "reviewer"),
        (("--host", "no.such.host.invalid", "--reviewer", "ann"), "COC_REVIEW_SECRET"),
    ],
)
def test_what_cannot_be_is_said(run, unserved, options, said):
    answer = coc("review", run, "--port", 0, *options)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert not unserved


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "review.example", "::"])
@pytest.mark.parametrize(("named", "secret"), [(False, False), (True, False), (False, True)])
def test_a_door_to_others_needs_people_and_a_secret(run, unserved, monkeypatch, host, named, secret):
    if secret:
        monkeypatch.setenv(SECRET, LASTING)
    answer = coc("review", run, "--port", 0, "--host", host, *(("--reviewer", "ann") if named else ()))
    assert answer.code == 2
    for words in ("--reviewer", SECRET, "TLS"):
        assert words in answer.err
    assert not unserved
    assert not (run / "reviews.sqlite").exists()


def test_a_door_to_everybody_needs_a_name(run, unserved, monkeypatch):
    monkeypatch.setenv(SECRET, LASTING)
    options = ("--port", 0, "--host", "0.0.0.0", "--reviewer", "ann")
    assert "--allow-host" in coc("review", run, *options).err
    answer = coc("review", run, *options, "--allow-host", "review.example")
    assert (answer.code, link_of(answer.out, "ann").startswith("http://review.example:")) == (0, True)


def test_a_short_secret_is_refused(run, unserved, monkeypatch):
    monkeypatch.setenv(SECRET, "short")
    answer = coc("review", run, "--port", 0)
    assert (answer.code, "32 or more" in answer.err) == (2, True)


def test_a_port_that_is_taken(run, unserved):
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = coc("review", run, "--port", other.getsockname()[1])
    assert (answer.code, "taken by another program" in answer.err) == (2, True)
    assert not (run / "reviews.sqlite").exists()


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_that_is_no_run_stays_as_it_is(tmp_path, unserved, name):
    (tmp_path / "empty").mkdir()
    answer = coc("review", tmp_path / name, "--port", 0)
    assert (answer.code, str(tmp_path / name) in answer.err) == (2, True)
    assert contents(tmp_path) == {}


def test_a_run_whose_records_cannot_be_read_is_not_served(tmp_path, unserved):
    run = experiment(tmp_path, [f"clip-{n}" for n in range(4)])
    records = sorted(run.glob("clip-*/*.yaml"))
    for record in records:
        record.write_text("{{{")
    answer = coc("review", run, "--port", 0)
    assert (answer.code, unserved) == (2, [])
    assert "no label to review" in answer.err
    assert f"unreadable records, left out: {len(records) - 1}" in answer.out  # one is known to be an abstention
    assert f"and {len(records) - 6} more" in answer.out


def test_an_extra_that_is_missing_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = coc("review", run, "--port", 0)
    assert (answer.code, "pip install 'coc-toolkit[review]'" in answer.err) == (2, True)


def test_a_backup_is_one_file(run, tmp_path, unserved):
    coc("review", run, "--port", 0)
    answer = coc("review", "backup", run, tmp_path / "copy" / "monday.sqlite")
    assert (answer.code, answer.out) == (0, f"backup: 0 events in {tmp_path / 'copy' / 'monday.sqlite'}\n")
    again = coc("review", "backup", run, tmp_path / "copy" / "monday.sqlite")
    assert (again.code, "there already" in again.err) == (2, True)
    assert coc("review", "backup", tmp_path, tmp_path / "none.sqlite").code == 2


def test_help_names_both_commands(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    answer = coc("review", "--help")
    assert answer.code == 0
    assert "coc review [OPTIONS]" in answer.out
    assert "coc review backup" in answer.out
    assert "coc review backup [OPTIONS]" in coc("review", "backup", "--help").out
    assert "coc review" in coc("review").err
