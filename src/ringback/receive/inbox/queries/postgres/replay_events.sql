-- Have events processed again, with all their attempts before them.
UPDATE ringback_inbox
SET state = 'waiting', attempts = 0, due_at_ms = $2::bigint, ended_at_ms = NULL
WHERE id = ANY ($1::bigint[]) AND state IN ('dead', 'ignored', 'done')
RETURNING id;
