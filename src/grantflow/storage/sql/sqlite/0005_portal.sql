-- What the developer portal and the App Hub need: icons, pages of a developer's integrations and of their people.

ALTER TABLE integrations DROP COLUMN icon;
ALTER TABLE integrations DROP COLUMN icon_type;
ALTER TABLE integrations ADD COLUMN icon TEXT;       -- one of the platform's own by name, or an icon's digest
ALTER TABLE integrations ADD COLUMN form_hash BLOB;  -- of the form that made it: sent twice, it makes one integration

CREATE TABLE icons (
  digest  TEXT PRIMARY KEY,                          -- SHA-256 of the content, 64 hex digits
  type    TEXT NOT NULL,                             -- media type, as read from the content
  content BLOB NOT NULL
);

DROP INDEX integrations_by_owner;
CREATE INDEX integrations_by_owner ON integrations (owner_id, name);
CREATE UNIQUE INDEX integrations_by_form ON integrations (form_hash) WHERE form_hash IS NOT NULL;
CREATE INDEX integrations_by_icon ON integrations (icon) WHERE icon IS NOT NULL;
-- SQLite reads a partial index alone, without the table, only where it holds the columns of its own condition too.
CREATE INDEX app_hub ON integrations (name, site_url) WHERE site_url IS NOT NULL;
CREATE INDEX living_grants_by_use ON grants (client_id, last_used_at, revoked_at) WHERE revoked_at IS NULL;
CREATE INDEX authorization_requests_by_client ON authorization_requests (client_id);  -- they go with a deleted one
