-- A task of an organization.
SELECT id, org_id, app_id, kind, status, arguments, cursor, done_count, created_at_ms, updated_at_ms
FROM task
WHERE org_id = $1 AND id = $2
