-- The book of migrations, which precedes the first of them.
CREATE TABLE IF NOT EXISTS migration (
    number        integer PRIMARY KEY,
    name          text NOT NULL,
    checksum      text NOT NULL,
    applied_at_ms bigint NOT NULL
)
