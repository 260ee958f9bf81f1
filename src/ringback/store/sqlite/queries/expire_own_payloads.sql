-- Delete payloads whose own expiry is past.
UPDATE message SET payload = NULL, raw_body = NULL
WHERE seq IN (
    SELECT seq FROM message
    WHERE payload_expires_at_ms <> 0 AND payload IS NOT NULL AND payload_expires_at_ms <= ?
    ORDER BY payload_expires_at_ms
    LIMIT ?
)
