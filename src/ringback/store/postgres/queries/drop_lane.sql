-- What waits for this endpoint is to be purged.
INSERT INTO lane (endpoint_id, app_id, due_at_ms, is_deleted) VALUES ($1, $2, NULL, true)
ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = NULL, is_deleted = true
