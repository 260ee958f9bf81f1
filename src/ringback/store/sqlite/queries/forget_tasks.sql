-- Forget tasks that ended before an instant; a bounded number.
DELETE FROM task
WHERE id IN (
    SELECT id FROM task
    WHERE status <> 'running' AND updated_at_ms < ?
    ORDER BY updated_at_ms
    LIMIT ?
)
