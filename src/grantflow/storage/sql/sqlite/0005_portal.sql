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
CREATE INDEX app_hub ON integrations (name) WHERE site_url IS NOT NULL;
CREATE INDEX living_grants_by_use ON grants (client_id, last_used_at) WHERE revoked_at IS NULL;
