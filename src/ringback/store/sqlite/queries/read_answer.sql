-- The answer remembered under an idempotency key.
SELECT answer FROM answer WHERE digest = ? AND expires_at_ms > ? AND message_id = ''
