-- What waits behind an event that is retried later need not be looked at before that.
UPDATE ringback_inbox
SET due_at_ms = $3::bigint
WHERE source = $1::text AND order_key = $2::text AND state = 'waiting' AND lease IS NULL
    AND due_at_ms < $3::bigint
RETURNING id;
