-- An attempt has failed, and another one is due later. Only by who has the lease.
UPDATE ringback_inbox
SET due_at_ms = ?3, error = ?4, lease = NULL
WHERE id = ?1 AND lease = ?2 AND state = 'waiting'
RETURNING id;
