-- Refresh tokens that came in from elsewhere (SHA-256 of each), and the grant that they became: brought in once more,
-- they are known, also when the platform has swapped them since.
CREATE TABLE adoptions (
    integration TEXT NOT NULL,
    digest BYTEA NOT NULL,
    grant_id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (integration, digest)
);

CREATE INDEX adoptions_by_grant ON adoptions (grant_id);

-- What a person has granted, whoever owns it.
CREATE INDEX grants_by_person ON grants (integration, person_id);

-- When grants die that nobody uses, soonest first.
CREATE INDEX grants_by_end ON grants (integration, refresh_expires_at, id)
    WHERE status IN ('ACTIVE', 'REFRESH_DELAYED');
