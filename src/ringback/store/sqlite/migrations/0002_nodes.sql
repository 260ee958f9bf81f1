-- What a node says of itself, and rates that nodes keep together.

ALTER TABLE node ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN role TEXT NOT NULL DEFAULT 'all';
ALTER TABLE node ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN joined_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN skew_ms INTEGER NOT NULL DEFAULT 0;

-- When the next send to an endpoint, or of an application, is due in a steady stream.
CREATE TABLE rate (
    id      TEXT PRIMARY KEY,
    next_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
