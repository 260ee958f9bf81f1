-- Remember idempotency keys; a key that is there already has expired.
INSERT INTO answer (digest, expires_at_ms, message_id, answer)
VALUES /* rows */ (?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET
    expires_at_ms = excluded.expires_at_ms,
    message_id = excluded.message_id,
    answer = excluded.answer
