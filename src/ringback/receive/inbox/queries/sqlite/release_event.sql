-- Give an event back untried: this worker stops. Only by who has the lease.
UPDATE ringback_inbox
SET due_at_ms = ?3, attempts = attempts - 1, lease = NULL
WHERE id = ?1 AND lease = ?2 AND state = 'waiting'
RETURNING id;
