-- The migrations that were applied.
SELECT number, name, checksum, applied_at_ms, works_with FROM migration ORDER BY number
