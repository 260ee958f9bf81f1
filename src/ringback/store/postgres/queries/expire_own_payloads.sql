-- Delete payloads whose own expiry is past. Another node may be at the same.
WITH due AS MATERIALIZED (
    SELECT app_id, id FROM message
    WHERE payload_expires_at_ms <> 0 AND payload IS NOT NULL AND payload_expires_at_ms <= $1
    ORDER BY payload_expires_at_ms
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE message SET payload = NULL, raw_body = NULL
FROM due
WHERE message.app_id = due.app_id AND message.id = due.id
