-- Forget expired idempotency keys.
DELETE FROM answer
WHERE digest IN (
    SELECT digest FROM answer WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?
)
