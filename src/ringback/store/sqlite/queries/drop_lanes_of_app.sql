-- What waits for the endpoints of an application is to be purged.
UPDATE lane SET due_at_ms = NULL, is_deleted = 1
WHERE endpoint_id IN (SELECT id FROM endpoint WHERE app_id = ? AND is_deleted = 0)
