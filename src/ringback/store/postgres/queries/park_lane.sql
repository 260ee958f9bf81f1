-- Nothing of this endpoint is due, whatever waits.
INSERT INTO lane (endpoint_id, app_id, due_at_ms) VALUES ($1, $2, NULL)
ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = NULL
