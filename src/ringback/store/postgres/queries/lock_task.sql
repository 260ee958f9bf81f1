-- A task, whatever its organization, which no other node steps until the end of the transaction.
SELECT id, org_id, app_id, kind, status, arguments, cursor, done_count, created_at_ms, updated_at_ms
FROM task
WHERE id = $1
FOR UPDATE
