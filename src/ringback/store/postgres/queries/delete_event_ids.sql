-- The event ids of the messages of a span of time are free again; a bounded number.
DELETE FROM event_id
WHERE (app_id, event_id) IN (
    SELECT app_id, event_id FROM event_id
    WHERE message_id >= $1 AND message_id < $2
    ORDER BY message_id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
