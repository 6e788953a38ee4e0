-- Counts a bot's tokens: a form that was opened before the last one was made makes no other.
ALTER TABLE bots ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
