-- Since when an earlier refresh request has had no answer, where it was sent again and that was answered: the server
-- may come to the first one yet.
ALTER TABLE grants ADD COLUMN overtaken_since DOUBLE PRECISION;
