-- A bot's icon is one of the platform's own, by its name.
ALTER TABLE bots DROP COLUMN icon;
ALTER TABLE bots DROP COLUMN icon_type;
ALTER TABLE bots ADD COLUMN icon TEXT;
