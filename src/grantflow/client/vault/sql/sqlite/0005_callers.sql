-- Programs that are given access tokens of named grants ("grant_ids", separated by spaces); of the key its SHA-256.
CREATE TABLE callers (
    integration TEXT NOT NULL,
    name TEXT NOT NULL,
    key_digest BLOB NOT NULL UNIQUE,
    grant_ids TEXT NOT NULL,
    created_at REAL NOT NULL,
    last_used_at REAL,
    PRIMARY KEY (integration, name)
) WITHOUT ROWID;
