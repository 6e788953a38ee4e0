-- What happened, in the order in which it was written; never changed. Tokens are fingerprints.
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    integration TEXT NOT NULL,
    grant_id TEXT,
    owner TEXT,
    person_id TEXT,
    generation INTEGER,
    incident TEXT,
    reason TEXT,
    token TEXT,
    new_token TEXT,
    actor TEXT
);

CREATE INDEX events_of_a_grant ON events (integration, owner, person_id, number) WHERE owner IS NOT NULL;
CREATE INDEX events_by_kind ON events (integration, kind, at);

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'what has happened is not changed');
END;

-- Of which events whoever watches has not been told yet.
CREATE TABLE untold_events (
    id TEXT PRIMARY KEY,
    integration TEXT NOT NULL,
    number INTEGER NOT NULL
) WITHOUT ROWID;

-- Whether refusals are believed: "on_since" is set while they are not.
CREATE TABLE brakes (
    integration TEXT PRIMARY KEY,
    on_since REAL,
    released_at REAL,
    reason TEXT
) WITHOUT ROWID;
