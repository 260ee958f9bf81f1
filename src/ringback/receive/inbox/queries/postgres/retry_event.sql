-- An attempt has failed, and another one is due later. Only by who has the lease.
UPDATE ringback_inbox
SET due_at_ms = $3::bigint, error = $4::text, lease = NULL
WHERE id = $1::bigint AND lease = $2::text AND state = 'waiting'
RETURNING id;
