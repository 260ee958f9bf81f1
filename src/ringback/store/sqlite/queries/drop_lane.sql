-- What waits for this endpoint is to be purged.
UPDATE lane SET due_at_ms = NULL, is_deleted = 1 WHERE endpoint_id = ?
