-- Have events processed again, with all their attempts before them.
UPDATE ringback_inbox
SET state = 'waiting', attempts = 0, due_at_ms = ?2, ended_at_ms = NULL
WHERE id IN (SELECT value FROM json_each(?1)) AND state IN ('dead', 'ignored', 'done')
RETURNING id;
