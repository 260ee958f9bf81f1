-- A migration was applied.
INSERT INTO migration (number, name, checksum, applied_at_ms, works_with)
VALUES ($1, $2, $3, $4, $5)
