-- How often whoever watches was told in vain, and when they are told again (NULL: a minute after the event).
ALTER TABLE untold_events ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE untold_events ADD COLUMN again_at DOUBLE PRECISION;
