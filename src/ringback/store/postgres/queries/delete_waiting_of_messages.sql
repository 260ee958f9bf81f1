-- Nothing of the messages of a span of time will be sent any more; a bounded number.
DELETE FROM waiting
WHERE id IN (
    SELECT id FROM waiting
    WHERE msg_id >= $1 AND msg_id < $2
    ORDER BY msg_id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
