"""The tables of a file of reviews, version 1.

``events`` is what people did, in order, and is only ever added to. The columns of ``tasks`` from ``phase`` on, and
``sightings``, follow from it; they are there to be listed quickly. ``labels`` holds copies of generated labels as they
were when they came into the queue, and planted ones. The reviewer of a task is the one of its last row in
``assignments``, which is only ever added to; without one it is the reviewer whom its batch was made for.
"""

APPLICATION_ID = 0x436F4352  # "CoCR"
VERSION = 1

TABLES = (
    """CREATE TABLE reviewers (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('reviewer', 'auditor', 'admin')),
        added_ms INTEGER NOT NULL
    ) STRICT""",
    # One row per enlargement of the queue. The random stratum is drawn from a wave's labels alone.
    """CREATE TABLE waves (
        id INTEGER PRIMARY KEY,
        made_ms INTEGER NOT NULL,
        labels INTEGER NOT NULL,
        history_us INTEGER NOT NULL,
        future_us INTEGER NOT NULL,
        settings TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        origin TEXT NOT NULL CHECK (origin IN ('generated', 'planted')),
        clip_id TEXT NOT NULL,
        t_us INTEGER NOT NULL,
        label_hash TEXT NOT NULL,
        label TEXT NOT NULL,
        longitudinal TEXT,
        lateral TEXT,
        sentence TEXT NOT NULL,
        model TEXT,
        risk REAL,
        check_status TEXT,
        check_reasons TEXT NOT NULL,
        truth TEXT,
        wave INTEGER REFERENCES waves (id),
        UNIQUE (clip_id, t_us, label_hash, origin)
    ) STRICT""",
    """CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        wave INTEGER NOT NULL REFERENCES waves (id),
        reviewer TEXT NOT NULL REFERENCES reviewers (name),
        random_tasks INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batches (id),
        label INTEGER NOT NULL REFERENCES labels (id),
        reviewer TEXT NOT NULL REFERENCES reviewers (name),
        kind TEXT NOT NULL CHECK (kind IN ('first', 'second', 'audit', 'planted_good', 'planted_bad')),
        stratum TEXT CHECK (stratum IN ('risk', 'random')),
        inclusion_probability REAL,
        blank INTEGER NOT NULL,
        repeats INTEGER REFERENCES tasks (id),
        phase TEXT NOT NULL DEFAULT 'waiting' CHECK (phase IN ('waiting', 'history', 'future', 'done')),
        revision INTEGER NOT NULL DEFAULT 0,
        verdict TEXT,
        reason TEXT,
        changed_ms INTEGER
    ) STRICT""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL REFERENCES tasks (id),
        revision INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL REFERENCES reviewers (name),
        kind TEXT NOT NULL,
        content TEXT NOT NULL,
        UNIQUE (task, revision)
    ) STRICT""",
    """CREATE TABLE assignments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL REFERENCES tasks (id),
        was TEXT NOT NULL REFERENCES reviewers (name),
        reviewer TEXT NOT NULL REFERENCES reviewers (name),
        actor TEXT NOT NULL REFERENCES reviewers (name),
        at_ms INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE sightings (
        reviewer TEXT NOT NULL,
        clip_id TEXT NOT NULL,
        t_us INTEGER NOT NULL,
        future INTEGER NOT NULL,
        PRIMARY KEY (reviewer, clip_id, t_us, future)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tasks_of_reviewer ON tasks (reviewer, phase, verdict, batch)",
    "CREATE INDEX tasks_of_batch ON tasks (batch, phase, verdict)",
    "CREATE INDEX tasks_of_label ON tasks (label)",
    "CREATE INDEX tasks_by_phase ON tasks (phase, verdict)",
    "CREATE INDEX tasks_left ON tasks (reviewer) WHERE phase <> 'done'",
    "CREATE INDEX assignments_of_task ON assignments (task)",
    "CREATE INDEX labels_by_speed ON labels (longitudinal)",
    "CREATE INDEX labels_by_lane ON labels (lateral)",
    "CREATE INDEX labels_by_check ON labels (check_status)",
    "CREATE INDEX labels_by_sentence ON labels (sentence)",  # smaller to go through than the table
    "CREATE INDEX labels_without_wave ON labels (id) WHERE wave IS NULL",
    *(
        f"CREATE TRIGGER {table}_stay_{verb} BEFORE {event} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are never {verb}'); END"
        for table, verb, event in (
            ("events", "changed", "UPDATE"),
            ("events", "deleted", "DELETE"),
            ("assignments", "changed", "UPDATE"),
            ("assignments", "deleted", "DELETE"),
            ("sightings", "changed", "UPDATE"),
            ("sightings", "deleted", "DELETE"),
            ("labels", "changed", "UPDATE OF id, origin, clip_id, t_us, label_hash, label, sentence, truth"),
            ("labels", "deleted", "DELETE"),
            (
                "tasks",
                "changed",
                "UPDATE OF id, batch, label, kind, stratum, inclusion_probability, blank, repeats",
            ),
            ("tasks", "deleted", "DELETE"),
            ("batches", "changed", "UPDATE"),
            ("batches", "deleted", "DELETE"),
        )
    ),
    """CREATE TRIGGER tasks_stay_with_their_reviewer BEFORE UPDATE OF reviewer ON tasks
        WHEN EXISTS (SELECT 1 FROM events WHERE task = OLD.id) OR NEW.reviewer IS NOT
            (SELECT reviewer FROM assignments WHERE task = OLD.id ORDER BY id DESC LIMIT 1)
        BEGIN SELECT RAISE(ABORT, 'tasks are never given away once begun, nor without an assignment'); END""",
)
