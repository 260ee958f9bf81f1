-- No further attempt: done, ignored or dead. Only by who has the lease.
UPDATE ringback_inbox
SET state = $3::text, error = $4::text, ended_at_ms = $5::bigint, lease = NULL
WHERE id = $1::bigint AND lease = $2::text AND state = 'waiting'
RETURNING id;
