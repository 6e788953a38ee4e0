-- Times are milliseconds since 1970 (UTC). Hashes are SHA-256 of 288-bit random values; the values are never stored.

CREATE TABLE people (
  id             TEXT PRIMARY KEY,               -- UUID
  email          TEXT NOT NULL UNIQUE COLLATE NOCASE,
  display_name   TEXT NOT NULL COLLATE NOCASE,
  first_name     TEXT,
  last_name      TEXT,
  nick_name      TEXT,
  org_id         TEXT NOT NULL,                  -- UUID
  type           TEXT NOT NULL DEFAULT 'person' CHECK (type IN ('person', 'bot')),
  is_admin       INTEGER NOT NULL DEFAULT 0,
  password_hash  TEXT,                           -- Argon2id PHC string; NULL: cannot sign in
  created_at     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX people_by_name ON people (org_id, display_name, id);

CREATE TABLE sessions (
  token_hash       BLOB PRIMARY KEY,
  person_id        TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
  authenticated_at INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_person ON sessions (person_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE integrations (
  client_id     TEXT PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
  description   TEXT NOT NULL DEFAULT '',
  contact_email TEXT NOT NULL DEFAULT '',        -- never shown publicly
  owner_id      TEXT REFERENCES people (id),     -- the publisher
  site_url      TEXT,                            -- its landing page
  icon          BLOB,
  icon_type     TEXT,
  profile       TEXT NOT NULL CHECK (profile IN ('webex', 'strict')),
  client_type   TEXT NOT NULL CHECK (client_type IN ('confidential', 'public')),
  scopes        TEXT NOT NULL,                   -- space-separated
  created_at    INTEGER NOT NULL,
  version       INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE INDEX integrations_by_owner ON integrations (owner_id, created_at);

CREATE TABLE redirect_uris (
  client_id TEXT NOT NULL REFERENCES integrations (client_id) ON DELETE CASCADE,
  position  INTEGER NOT NULL,
  uri       TEXT NOT NULL,
  PRIMARY KEY (client_id, position),
  UNIQUE (client_id, uri)
) WITHOUT ROWID;

CREATE TABLE client_secrets (
  client_id    TEXT NOT NULL REFERENCES integrations (client_id) ON DELETE CASCADE,
  secret_hash  BLOB NOT NULL,
  last_four    TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,                          -- NULL: until regenerated
  last_used_at INTEGER,
  PRIMARY KEY (client_id, secret_hash)
) WITHOUT ROWID;

-- An authorization request that waits for a person to sign in or to consent.
CREATE TABLE authorization_requests (
  id_hash      BLOB PRIMARY KEY,
  query        TEXT NOT NULL,                    -- as it came, checked again at each step
  scopes       TEXT NOT NULL,                    -- what consent is asked for, space-separated
  redirect_uri TEXT NOT NULL,                    -- where the answer goes
  login_hint   TEXT,
  client_id    TEXT NOT NULL REFERENCES integrations (client_id) ON DELETE CASCADE,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  decision     TEXT CHECK (decision IN ('accepted', 'declined')),
  decided_by   TEXT REFERENCES people (id) ON DELETE CASCADE,
  remember     INTEGER NOT NULL DEFAULT 0,
  answered_at  INTEGER
) WITHOUT ROWID;
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);

-- What one person allowed one integration; tokens hang on it.
CREATE TABLE grants (
  id           TEXT PRIMARY KEY,                 -- UUID
  person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
  client_id    TEXT NOT NULL REFERENCES integrations (client_id) ON DELETE CASCADE,
  scopes       TEXT NOT NULL,                    -- all that were ever consented to under this grant
  remembered   INTEGER NOT NULL,                 -- "Only ask when requesting new permissions"
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  revoked_at   INTEGER,
  version      INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE UNIQUE INDEX living_grants ON grants (person_id, client_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_by_client ON grants (client_id);

-- A family is one authorization code and every token that came of it.
CREATE TABLE codes (
  code_hash         BLOB PRIMARY KEY,
  family            TEXT NOT NULL,               -- UUID
  grant_id          TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  client_id         TEXT NOT NULL,
  person_id         TEXT NOT NULL,
  scopes            TEXT NOT NULL,
  redirect_uri      TEXT NOT NULL,
  redirect_uri_sent INTEGER NOT NULL,            -- whether the request carried it (RFC 6749 section 4.1.3)
  challenge         TEXT,
  created_at        INTEGER NOT NULL,
  expires_at        INTEGER NOT NULL,
  spent_at          INTEGER
) WITHOUT ROWID;
CREATE INDEX codes_by_grant ON codes (grant_id);
CREATE INDEX codes_by_expiry ON codes (expires_at);

CREATE TABLE refresh_tokens (
  token_hash     BLOB PRIMARY KEY,
  family         TEXT NOT NULL,
  grant_id       TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  client_id      TEXT NOT NULL,
  person_id      TEXT NOT NULL,
  scopes         TEXT NOT NULL,
  issued_at      INTEGER NOT NULL,
  expires_at     INTEGER NOT NULL,
  revoked_at     INTEGER,
  -- Rotation (strict profile): what the next holder of this token was answered, sealed under a key derived from the
  -- presented token, and the hash of the successor; both NULL while this is the living one.
  replaced_at    INTEGER,
  successor_hash BLOB,
  sealed_answer  BLOB,
  first_used_at  INTEGER                         -- when this token, as a successor, or its access token was first used
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX sealed_answers_by_age ON refresh_tokens (replaced_at) WHERE sealed_answer IS NOT NULL;

CREATE TABLE access_tokens (
  token_hash   BLOB PRIMARY KEY,
  family       TEXT,
  grant_id     TEXT REFERENCES grants (id) ON DELETE CASCADE,  -- NULL: a bot's own token
  client_id    TEXT,
  person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
  scopes       TEXT NOT NULL,
  issued_at    INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  revoked_at   INTEGER,
  refresh_hash BLOB                              -- the successor that a rotation issued with it; its first use counts
) WITHOUT ROWID;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_by_family ON access_tokens (family);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

-- Failures of client authentication and of sign-in alone; the right key from elsewhere is never slowed.
CREATE TABLE failures (
  what      TEXT NOT NULL,                       -- 'client' or 'person'
  subject   TEXT NOT NULL,                       -- SHA-256 in hex of client id or email: people mistype passwords here
  address   TEXT NOT NULL,
  count     INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  PRIMARY KEY (what, subject, address)
) WITHOUT ROWID;
CREATE INDEX failures_by_age ON failures (what, last_at);

CREATE TABLE rooms (
  id            TEXT PRIMARY KEY,                -- UUID
  title         TEXT NOT NULL,
  type          TEXT NOT NULL CHECK (type IN ('group', 'direct')),
  direct_pair   TEXT UNIQUE,                     -- the two people's ids in order, for a direct room
  is_locked     INTEGER NOT NULL DEFAULT 0,
  description   TEXT,
  creator_id    TEXT NOT NULL REFERENCES people (id),
  owner_id      TEXT NOT NULL,                   -- organization
  created_at    INTEGER NOT NULL,
  last_activity INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE memberships (
  person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
  room_id      TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  is_moderator INTEGER NOT NULL DEFAULT 0,
  is_hidden    INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (person_id, room_id)
) WITHOUT ROWID;
CREATE INDEX memberships_by_room ON memberships (room_id, person_id);
CREATE INDEX hidden_memberships ON memberships (room_id) WHERE is_hidden = 1;  -- a new message shows them again

CREATE TABLE messages (
  id         TEXT PRIMARY KEY,                   -- UUID
  room_id    TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  person_id  TEXT NOT NULL REFERENCES people (id),
  parent_id  TEXT REFERENCES messages (id) ON DELETE SET NULL,
  text       TEXT NOT NULL,
  markdown   TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER,
  edits      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX messages_by_room ON messages (room_id, created_at, id);
CREATE INDEX messages_by_parent ON messages (parent_id, created_at, id) WHERE parent_id IS NOT NULL;
