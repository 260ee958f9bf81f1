-- What waits for the endpoints of an application is to be purged.
INSERT INTO lane (endpoint_id, app_id, due_at_ms, is_deleted)
SELECT id, app_id, NULL, true FROM endpoint WHERE app_id = $1 AND NOT is_deleted ORDER BY id
ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = NULL, is_deleted = true
