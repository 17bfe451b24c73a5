"""The file of a run's reviews: SQLite in WAL mode, where what was acknowledged survives a kill and a loss of power.

Every thread has its own connection. Reading blocks nobody; writing is one transaction at a time, which waits for its
turn.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coc_labeling.review.errors import ReviewError
from coc_labeling.review.tables import APPLICATION_ID, TABLES, VERSION
from driving_clips import files

REVIEWS = "reviews.sqlite"
WAIT_SEC = 30.0  # that a writer waits for the others
CACHE_KIB = 65_536  # of a connection


class Database:
    """The open file; usable from all threads of a process, and by several processes at once.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> database = Database(f"{folder.name}/reviews.sqlite")
        >>> database.rows("SELECT count(*) AS tasks FROM tasks")[0]["tasks"]
        0
        >>> database.close()
        >>> folder.cleanup()
    """

    def __init__(self, path: str) -> None:
        """Open a file of reviews, creating it where there is none.

        Raises:
            ReviewError: the file is no such file, one of another version, or cannot be written.
        """
        self.path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            with self._explained():
                _prepare(self._connection(), path)
        except ReviewError:
            self.close()
            raise

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query; within ``writing`` it sees what has been written so far."""
        with self._explained():
            return self._connection().execute(sql, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection within a transaction; when the block ends without an error its changes are on the disk.

        Raises:
            ReviewError: others kept writing for 30 s, or the disk is full.
        """
        connection = self._connection()
        with self._explained():
            connection.execute("BEGIN IMMEDIATE")
        try:
            with self._explained():
                yield connection
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def copy_into(self, copy: sqlite3.Connection) -> None:
        """Copy all, as it is at one moment, into another database."""
        with self._explained():
            self._connection().backup(copy)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with self._explained():
                connection = _connect(self.path)
            with self._lock:
                self._all.append(connection)
            self._local.connection = connection
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ReviewError(
                f"{self.path}: cannot be read or written ({error}). Is the disk full, the folder read-only, or on a "
                "network file system? SQLite's WAL needs a local disk."
            ) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise ReviewError(
                f"{self.path}: expected a file of reviews, found something else, or one that is damaged ({error}). Put "
                "a backup in its place (`coc review backup` makes them), or move it away to begin anew; in both cases "
                f"delete {REVIEWS}-wal and {REVIEWS}-shm beside it first, which are of the damaged one."
            ) from error


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_SEC, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous=FULL")  # of every connection: in WAL mode NORMAL may lose the last commits
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Create the tables where there are none; refuse the files of others and of other versions."""
    connection.execute("BEGIN")  # marks and tables are looked at in one moment: another process may create them now
    try:
        there = _is_ours(connection, path)
    finally:
        connection.execute("ROLLBACK")
    if not there:
        _switch_to_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _is_ours(connection, path):  # another one was faster
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    _switch_to_wal(connection)  # a backup that was put back is not in this mode


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    """Say whether the tables are there; False for an empty file."""
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if marks == [APPLICATION_ID, VERSION]:
        return True
    if marks[0] == APPLICATION_ID:
        raise ReviewError(
            f"{path}: a file of reviews of version {marks[1]}, this code reads version {VERSION}. Use the version of "
            "coc-toolkit that wrote it."
        )
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ReviewError(f"{path}: expected a file of reviews, found another SQLite database. Move it away.")
    return False


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, which SQLite refuses at once, without waiting, while another process does just that."""
    ends = time.monotonic() + WAIT_SEC
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)


def reviews_path(run_dir: str) -> str:
    """Return the path of a run's file of reviews."""
    return files.join(run_dir, REVIEWS)
