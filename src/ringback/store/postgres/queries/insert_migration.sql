-- A migration was applied.
INSERT INTO migration (number, name, checksum, applied_at_ms) VALUES ($1, $2, $3, $4)
