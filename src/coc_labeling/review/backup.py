"""A copy of the reviews that can be carried away, made while people go on working."""

import sqlite3
from contextlib import closing

from coc_labeling.review.database import REVIEWS, Database, reviews_path
from coc_labeling.review.errors import ReviewError
from driving_clips import files


def backup(run_dir: str, target: str) -> int:
    """Copy a run's reviews into one new file while people go on working; return how many events it holds.

    Raises:
        ReviewError: there are no reviews, ``target`` is there already, or the copy is damaged.
    """
    source = reviews_path(run_dir)
    if not files.is_file(source):
        raise ReviewError(f"{run_dir}: no {REVIEWS} in it, so there is nothing to back up.")
    if files.exists(target):
        raise ReviewError(f"{target}: there already. Name a file that does not exist yet.")
    database = Database(source)
    try:
        files.make_parents(target)
        with files.atomic_path(target) as temporary:
            with closing(sqlite3.connect(temporary)) as copy:
                database.copy_into(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, without -wal beside it
                found = copy.execute("PRAGMA integrity_check").fetchone()[0]
                events: int = copy.execute("SELECT count(*) FROM events").fetchone()[0]
            if found != "ok":
                raise ReviewError(f"{source}: the copy is damaged ({found}), {target} has not been written.")
    finally:
        database.close()
    return events
