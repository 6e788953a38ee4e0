-- Bots: accounts of their own (people.type = 'bot') that act with one long-lived token (access_tokens.grant_id NULL).

-- When an account was given up. Its row stays, since what it wrote still names it; nobody finds it any more.
ALTER TABLE people ADD COLUMN deleted_at INTEGER;

CREATE TABLE bots (
  person_id   TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
  username    TEXT NOT NULL UNIQUE COLLATE NOCASE,  -- a deleted bot keeps it: nobody takes over who it was
  description TEXT NOT NULL DEFAULT '',
  owner_id    TEXT REFERENCES people (id),          -- who registered it
  icon        BLOB,
  icon_type   TEXT
) WITHOUT ROWID;
CREATE INDEX bots_by_owner ON bots (owner_id, username);
CREATE INDEX bot_tokens ON access_tokens (person_id) WHERE grant_id IS NULL;

-- Who a message mentions: a bot in a group room sees these alone.
ALTER TABLE messages ADD COLUMN mentioned TEXT NOT NULL DEFAULT '';  -- people's ids, space-separated
CREATE TABLE mentions (
  person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
  room_id    TEXT NOT NULL,
  created_at INTEGER NOT NULL,                      -- the message's: a list is one stretch of this key
  message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  PRIMARY KEY (person_id, room_id, created_at, message_id)
) WITHOUT ROWID;
CREATE INDEX mentions_by_message ON mentions (message_id);
