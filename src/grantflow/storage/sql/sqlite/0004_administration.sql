-- Who granted an integration access, the newest first: for administrators.
CREATE INDEX living_grants_by_client ON grants (client_id, created_at, id) WHERE revoked_at IS NULL;
