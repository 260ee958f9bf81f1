-- The book of migrations, which precedes the first of them. What "works_with" means is in migrate.py.
CREATE TABLE IF NOT EXISTS migration (
    number        integer PRIMARY KEY,
    name          text NOT NULL,
    checksum      text NOT NULL,
    applied_at_ms bigint NOT NULL,
    works_with    integer NOT NULL DEFAULT 0
)
