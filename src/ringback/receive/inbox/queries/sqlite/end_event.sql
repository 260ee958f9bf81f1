-- No further attempt: done, ignored or dead. Only by who has the lease.
UPDATE ringback_inbox
SET state = ?3, error = ?4, ended_at_ms = ?5, lease = NULL
WHERE id = ?1 AND lease = ?2 AND state = 'waiting'
RETURNING id;
