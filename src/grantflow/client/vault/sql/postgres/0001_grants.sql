-- Times are seconds since 1970 in UTC, with fractions.

-- What people allowed an integration. "tokens" is sealed and bound to id, integration, owner and person_id;
-- NULL once forgotten. "generation" counts the token pairs: a write names the one that it has read.
-- A page keeps room, so that a renewed row stays on it and no index has to change.
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    integration TEXT NOT NULL,
    owner TEXT NOT NULL,
    person_id TEXT NOT NULL,
    display_name TEXT,
    email TEXT,
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'REFRESH_DELAYED', 'REAUTHORIZATION_REQUIRED', 'REVOKED')),
    scopes TEXT NOT NULL,
    generation BIGINT NOT NULL,
    tokens BYTEA,
    granted_at DOUBLE PRECISION NOT NULL,
    refreshed_at DOUBLE PRECISION,
    access_expires_at DOUBLE PRECISION,
    refresh_expires_at DOUBLE PRECISION,
    -- Who refreshes just now, and until when on this database's clock.
    lease_holder TEXT,
    lease_until DOUBLE PRECISION,
    -- Since when a refresh request with this refresh token has had no clear answer.
    unanswered_since DOUBLE PRECISION,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at DOUBLE PRECISION,
    suspected_at DOUBLE PRECISION,
    refused_at DOUBLE PRECISION,
    incident TEXT,
    reason TEXT
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX grants_by_key ON grants (integration, owner, person_id);
CREATE INDEX grants_refused ON grants (refused_at) WHERE refused_at IS NOT NULL AND tokens IS NOT NULL;

-- States that have served, until their cookies are dead: only the SHA-256 of each.
CREATE TABLE spent_states (
    digest BYTEA PRIMARY KEY,
    until DOUBLE PRECISION NOT NULL
);

CREATE INDEX spent_states_by_time ON spent_states (until);

-- How the token endpoint thinks of an integration under one client secret (named by its fingerprint).
CREATE TABLE standings (
    integration TEXT NOT NULL,
    credentials TEXT NOT NULL,
    refused_at DOUBLE PRECISION,
    retry_at DOUBLE PRECISION,
    failures INTEGER NOT NULL,
    reason TEXT,
    succeeded_at DOUBLE PRECISION,
    PRIMARY KEY (integration, credentials)
);
