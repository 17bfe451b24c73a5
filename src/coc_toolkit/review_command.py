"""``coc review``: the web application for people who review labels, and copies of what they have decided."""

import errno
import getpass
import os
import re
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from batch_runs.terminal import say
from coc_labeling.judge.selection import labels_of
from coc_labeling.review.backup import backup
from coc_labeling.review.batches.intake import Intake, add_run
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.planted import plant_known
from coc_labeling.review.batches.queue import enlarge
from coc_labeling.review.database import reviews_path
from coc_labeling.review.errors import ReviewError
from coc_labeling.review.store import ReviewStore, Role
from driving_clips import files

if TYPE_CHECKING:
    from fastapi import FastAPI

    from coc_labeling.review.web.access import Access

ADMIN = "admin"  # who is added where nobody is named
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - to be refused without a name
_NAMED = 5  # records that cannot be read
_GRACE_SEC = 3  # for answers under way when the server is stopped


@dataclass(frozen=True)
class People:
    """Names given on the command line."""

    reviewers: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()

    @property
    def roles(self) -> list[tuple[str, Role]]:
        """Each name with its role."""
        return [
            *((name, Role.REVIEWER) for name in self.reviewers),
            *((name, Role.AUDITOR) for name in self.auditors),
            *((name, Role.ADMIN) for name in self.admins),
        ]


@dataclass(frozen=True)
class Address:
    """Where the server listens, and by which other names it is called."""

    host: str = "127.0.0.1"
    port: int = 8321
    allowed: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether nobody else than users of this machine can reach it."""
        return self.host in _LOOPBACK

    @property
    def names(self) -> tuple[str, ...]:
        """The names to be answered, the one for links first."""
        own = () if self.host in _EVERYWHERE else (f"[{self.host}]" if ":" in self.host else self.host,)
        return (*own, *self.allowed) if self.is_loopback else (*self.allowed, *own)


@dataclass(frozen=True)
class Places:
    """Where drives and videos are, and which are shown, where the run's configuration does not say it."""

    data_dir: str | None = None
    video_dir: str | None = None
    camera: str | None = None
    dataset_name: str | None = None
    cache_dir: str | None = None


@dataclass(frozen=True)
class ReviewRequest:
    """What is reviewed by whom, and where.

    Attributes:
        run_dir: the run.
        people: those to be added.
        address: where the server listens.
        settings: of the queue; its shares of second reviews and audits hold where there are people for them.
        second_share, audit_share: the same shares, asked for whoever there is; None where nobody has asked.
        gold: a run whose labels are known to be right.
        places: where drives and videos are.
    """

    run_dir: str
    people: People
    address: Address
    settings: QueueSettings
    second_share: float | None = None
    audit_share: float | None = None
    gold: str | None = None
    places: Places = Places()


def serve(request: ReviewRequest) -> int:
    """Bring a run's labels into the queue and serve it until Ctrl-C; returns the exit code.

    Raises:
        CocLabelingError: the run has no labels, the address cannot be used, or the extra is not installed.
    """
    _need_extra()
    from coc_labeling.review.material import Material
    from coc_labeling.review.web.access import SECRET, Access
    from coc_labeling.review.web.app import create_app
    from coc_labeling.review.web.assets import Assets
    from coc_labeling.review.web.context import Site
    from coc_labeling.review.web.templates import environment

    refuse_open_door(request, has_secret=SECRET in os.environ)
    access = Access.of_run(request.run_dir, os.environ)
    with ExitStack() as ends, listen(request.address) as listening:
        store = prepare(request)
        ends.callback(store.close)
        material = Material.of_run(request.run_dir, **asdict(request.places))
        ends.callback(material.close)
        site = Site(store, material, access, environment(), request.run_dir, Assets.load())
        ends.callback(site.overviews.close)
        site.overviews.begin()
        say(*links(store, access, request.address, listening.getsockname()[1]))
        _run(create_app(site, request.address.names), listening)
    say(f"Stopped. All that was decided is in {reviews_path(request.run_dir)}.")
    return 0


def refuse_open_door(request: ReviewRequest, *, has_secret: bool) -> None:
    """Raise ReviewError where others could reach the server, unless people and secret were chosen for that."""
    address = request.address
    if address.is_loopback:
        return
    if not request.people.roles or not has_secret:
        raise ReviewError(
            f"--host {address.host}: others can reach this address. Name the people (--reviewer, --auditor, --admin) "
            "and set COC_REVIEW_SECRET to a secret of 32 characters or more; both are needed. Better still, stay on "
            "127.0.0.1 behind a reverse proxy with TLS, and say its name by --allow-host: without TLS, tokens and "
            "videos can be read on the way."
        )
    if address.host in _EVERYWHERE and not address.allowed:
        raise ReviewError(f"--host {address.host}: say by --allow-host under which name people will open the pages.")


def prepare(request: ReviewRequest) -> ReviewStore:
    """Return the reviews of a run with its people, and its labels in the queue.

    Raises:
        CocLabelingError: the run has no labels, or people are missing for what was asked for.
    """
    if not files.is_file(reviews_path(request.run_dir)):
        labels_of(request.run_dir)  # raises for a folder that is no run, before a file is made in it
    store = ReviewStore.of_run(request.run_dir)
    try:
        for name, role in request.people.roles or _somebody(store):
            store.add_person(name, role)
        say(*_told(add_run(store, request.run_dir)))
        if store.database.rows(_WAITING):
            settings, notes = _fitting(request, store)
            notes += _plant(request, store)
            planned = enlarge(store, settings)
            say(f"queue: {planned:,} labels put into batches", *(f"note: {note}" for note in notes))
        if not store.database.rows("SELECT 1 FROM tasks LIMIT 1"):
            raise ReviewError(
                f"{request.run_dir}: no label to review, only abstentions and records that cannot be read. Mend the "
                "records, or label again."
            )
    except BaseException:
        store.close()
        raise
    return store


# Labels in no batch yet.
_WAITING = "SELECT 1 FROM labels WHERE wave IS NULL AND origin = 'generated' LIMIT 1"


def links(store: ReviewStore, access: "Access", address: Address, port: int) -> list[str]:
    """Return what people need to sign in."""
    people = store.people()
    width = max(map(len, people))
    lines = ["", "Open your link. It is yours alone: whoever has it signs in as you."]
    for role in (Role.REVIEWER, Role.AUDITOR, Role.ADMIN):
        for name in store.people(role):
            url = f"http://{address.names[0]}:{port}/?token={access.token(name)}"
            lines.append(f"  {role:<8}  {name:<{width}}  {url}")
    return [*lines, "", "Ctrl-C stops the server. What has been decided is stored at once."]


def listen(address: Address) -> socket.socket:
    """Return a socket that listens; raises ReviewError where that cannot be."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ReviewError(f"--host {address.host}: no address of this machine ({error}).") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a server just stopped blocks its port
    try:
        listening.bind(place)
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ReviewError(
                f"--port {address.port}: taken by another program. Choose another one, or 0 for any that is free."
            ) from error
        raise ReviewError(f"{address.host}, port {address.port}: cannot be listened on ({error.strerror}).") from error
    return listening


def run_backup(run_dir: str, target: str) -> int:
    """Copy the reviews of a run into a file and say so; returns the exit code; raises ReviewError."""
    events = backup(run_dir, target)
    say(f"backup: {events:,} events in {target}")
    return 0


def _need_extra() -> None:
    try:
        import fastapi  # noqa: F401 - whether they are there
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ReviewError(
            f"coc review needs FastAPI and uvicorn: pip install 'coc-toolkit[review]' ({error})"
        ) from error


def _somebody(store: ReviewStore) -> list[tuple[str, Role]]:
    """Return whom to add where nobody is named: nobody where people are known, else the user and an admin."""
    if store.people():
        return []
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        user = ""
    name = re.sub(r"[^A-Za-z0-9_.@-]", "", user[:64]).lstrip("_.@-")
    return [(name if name not in ("", ADMIN) else "reviewer", Role.REVIEWER), (ADMIN, Role.ADMIN)]


def _told(intake: Intake) -> list[str]:
    lines = [f"labels: {intake.added:,} new, {intake.abstentions:,} abstentions (not reviewed)"]
    if intake.unreadable:
        lines.append(f"unreadable records, left out: {len(intake.unreadable):,}")
        lines += [f"  {why if name in why else f'{name}: {why}'}" for name, why in intake.unreadable.items()][:_NAMED]
        if len(intake.unreadable) > _NAMED:
            lines.append(f"  and {len(intake.unreadable) - _NAMED:,} more")
    return lines


def _fitting(request: ReviewRequest, store: ReviewStore) -> tuple[QueueSettings, list[str]]:
    """Return settings that the people there are can fulfil, and what had to be left out."""
    usual, notes = request.settings, []
    second, audit = request.second_share, request.audit_share
    if second is None:
        second = usual.second_share
        if len(store.people(Role.REVIEWER)) < 2:
            second = 0.0
            notes.append("one reviewer only, so nothing is reviewed by a second one (--reviewer adds another)")
    if audit is None:
        audit = usual.audit_share
        if not store.people(Role.AUDITOR):
            audit = 0.0
            notes.append("no auditor, so nothing is audited (--auditor adds one)")
    return replace(usual, second_share=second, audit_share=audit), notes


def _plant(request: ReviewRequest, store: ReviewStore) -> list[str]:
    """Plant labels with a known answer, for the batches that are about to be made; return what is to be said of it."""
    if not request.settings.planted_share:
        return []
    planting = plant_known(store, request.run_dir, gold=request.gold, data_dir=request.places.data_dir)
    notes = list(planting.notices)
    if planting.good or planting.bad:
        notes.append(f"planted: {planting.good:,} labels known to be right, {planting.bad:,} with an error")
    else:
        notes.append("nothing is planted: no labels are known to be right yet (--gold names a run of such)")
    if planting.left_out:
        left_out = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in planting.left_out.items())
        notes.append(f"not planted: {left_out}")
    return notes


def _run(app: "FastAPI", listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,  # tokens stand in addresses
        log_config=None,
        log_level="warning",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SEC,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # the usual end
        return
