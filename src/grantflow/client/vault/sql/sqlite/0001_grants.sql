-- Times are seconds since 1970 in UTC, with fractions.

-- What people allowed an integration. "tokens" is sealed and bound to id, integration, owner and person_id;
-- NULL once forgotten. "generation" counts the token pairs: a write names the one that it has read.
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    integration TEXT NOT NULL,
    owner TEXT NOT NULL,
    person_id TEXT NOT NULL,
    display_name TEXT,
    email TEXT,
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'REFRESH_DELAYED', 'REAUTHORIZATION_REQUIRED', 'REVOKED')),
    scopes TEXT NOT NULL,
    generation INTEGER NOT NULL,
    tokens BLOB,
    granted_at REAL NOT NULL,
    refreshed_at REAL,
    access_expires_at REAL,
    refresh_expires_at REAL,
    -- Who refreshes just now, and until when on this database's clock.
    lease_holder TEXT,
    lease_until REAL,
    -- Since when a refresh request with this refresh token has had no clear answer.
    unanswered_since REAL,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at REAL,
    suspected_at REAL,
    refused_at REAL,
    incident TEXT,
    reason TEXT
);

CREATE UNIQUE INDEX grants_by_key ON grants (integration, owner, person_id);
CREATE INDEX grants_refused ON grants (refused_at) WHERE refused_at IS NOT NULL AND tokens IS NOT NULL;

-- States that have served, until their cookies are dead: only the SHA-256 of each.
CREATE TABLE spent_states (
    digest BLOB PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX spent_states_by_time ON spent_states (until);

-- How the token endpoint thinks of an integration under one client secret (named by its fingerprint).
CREATE TABLE standings (
    integration TEXT NOT NULL,
    credentials TEXT NOT NULL,
    refused_at REAL,
    retry_at REAL,
    failures INTEGER NOT NULL,
    reason TEXT,
    succeeded_at REAL,
    PRIMARY KEY (integration, credentials)
) WITHOUT ROWID;
