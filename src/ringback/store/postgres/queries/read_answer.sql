-- The answer remembered under an idempotency key.
SELECT answer FROM answer WHERE digest = $1 AND expires_at_ms > $2 AND message_id = ''
