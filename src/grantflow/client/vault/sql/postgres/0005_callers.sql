-- Programs that are given access tokens of named grants ("grant_ids", separated by spaces); of the key its SHA-256.
CREATE TABLE callers (
    integration TEXT NOT NULL,
    name TEXT NOT NULL,
    key_digest BYTEA NOT NULL UNIQUE,
    grant_ids TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    last_used_at DOUBLE PRECISION,
    PRIMARY KEY (integration, name)
);
