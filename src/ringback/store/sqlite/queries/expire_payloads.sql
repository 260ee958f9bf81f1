-- Delete the payloads of a range of messages that have no expiry of their own.
UPDATE message SET payload = NULL, raw_body = NULL
WHERE seq > ? AND seq <= ? AND payload_expires_at_ms = 0
