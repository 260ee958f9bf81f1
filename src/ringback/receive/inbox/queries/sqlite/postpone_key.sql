-- What waits behind an event that is retried later need not be looked at before that.
UPDATE ringback_inbox
SET due_at_ms = ?3
WHERE source = ?1 AND order_key = ?2 AND state = 'waiting' AND lease IS NULL AND due_at_ms < ?3
RETURNING id;
