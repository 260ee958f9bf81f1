-- Tasks to go on with.
SELECT id, org_id, app_id, kind, status, arguments, cursor, done_count, created_at_ms, updated_at_ms
FROM task
WHERE status = 'running'
ORDER BY id
LIMIT $1
