-- The migrations that were applied.
SELECT number, name, checksum, applied_at_ms FROM migration ORDER BY number
