-- Keys that have sealed here first, by their ids (16 hex digits), and since when; NULL where that was before this table.
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    since REAL
) WITHOUT ROWID;
