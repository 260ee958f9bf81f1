-- Delete old payloads, which have no expiry of their own, of messages outside of every partition.
UPDATE message_other SET payload = NULL, raw_body = NULL
WHERE (app_id, id) IN (
    SELECT app_id, id FROM message_other
    WHERE id < $1 AND payload_expires_at_ms = 0 AND payload IS NOT NULL
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
