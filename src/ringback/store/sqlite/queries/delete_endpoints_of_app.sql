-- Mark all endpoints of an application as deleted.
UPDATE endpoint SET is_deleted = 1, version = version + 1, updated_at_ms = ?
WHERE app_id = ? AND is_deleted = 0
