-- Whom a request that waits is counted against; NULL in rows from before this was kept.
ALTER TABLE authorization_requests ADD COLUMN address TEXT;
CREATE INDEX open_requests ON authorization_requests (address, expires_at) WHERE answered_at IS NULL;

-- Empty but for a moment: what is written here shows whether writes are taken.
CREATE TABLE probes (
  content BLOB NOT NULL
);
