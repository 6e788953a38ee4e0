-- Since when a request with an earlier refresh token has had no answer, where the token was sent again and then swapped:
-- the server may have come to the first request since, and ended the grant.
ALTER TABLE grants ADD COLUMN overtaken_since REAL;
