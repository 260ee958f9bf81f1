-- Take waiting rows of an endpoint away, a bounded number.
DELETE FROM waiting
WHERE id IN (
    SELECT id FROM waiting
    WHERE endpoint_id = $1
    ORDER BY endpoint_id, due_at_ms, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
