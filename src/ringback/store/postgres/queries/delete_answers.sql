-- Forget expired idempotency keys.
DELETE FROM answer
WHERE digest IN (
    SELECT digest FROM answer
    WHERE expires_at_ms <= $1
    ORDER BY expires_at_ms
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
