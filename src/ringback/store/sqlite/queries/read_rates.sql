-- When the next send of each rate is due.
SELECT id, next_us FROM rate WHERE id IN (SELECT value FROM json_each(?))
