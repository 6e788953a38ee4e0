-- What happened, in the order in which it was written; never changed. Tokens are fingerprints.
CREATE TABLE events (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    kind TEXT NOT NULL,
    integration TEXT NOT NULL,
    grant_id TEXT,
    owner TEXT,
    person_id TEXT,
    generation BIGINT,
    incident TEXT,
    reason TEXT,
    token TEXT,
    new_token TEXT,
    actor TEXT
);

CREATE INDEX events_of_a_grant ON events (integration, owner, person_id, number) WHERE owner IS NOT NULL;
CREATE INDEX events_by_kind ON events (integration, kind, at);

CREATE FUNCTION refuse_to_change_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what has happened is not changed';
END
$$;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_events();

-- Of which events whoever watches has not been told yet.
CREATE TABLE untold_events (
    id TEXT PRIMARY KEY,
    integration TEXT NOT NULL,
    number BIGINT NOT NULL
);

-- Whether refusals are believed: "on_since" is set while they are not.
CREATE TABLE brakes (
    integration TEXT PRIMARY KEY,
    on_since DOUBLE PRECISION,
    released_at DOUBLE PRECISION,
    reason TEXT
);
