-- Write a new task.
INSERT INTO task (
    id, org_id, app_id, kind, status, arguments, cursor, done_count, created_at_ms, updated_at_ms
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
