-- Remember an answer unless one is remembered that has not expired.
INSERT INTO answer (digest, expires_at_ms, message_id, answer)
VALUES ($1, $2, '', $3)
ON CONFLICT (digest) DO UPDATE SET
    expires_at_ms = excluded.expires_at_ms,
    message_id = excluded.message_id,
    answer = excluded.answer
WHERE answer.expires_at_ms <= $4
