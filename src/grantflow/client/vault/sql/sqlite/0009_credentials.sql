-- The client secret with which new tokens came, by its fingerprint; NULL where that was before this column.
ALTER TABLE events ADD COLUMN credentials TEXT;

-- Whether the platform has served anybody under it since another event.
CREATE INDEX events_by_credentials ON events (integration, credentials, number) WHERE credentials IS NOT NULL;
