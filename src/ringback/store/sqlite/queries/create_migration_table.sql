-- The book of migrations, which precedes the first of them.
CREATE TABLE IF NOT EXISTS migration (
    number        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_ms INTEGER NOT NULL
) STRICT
