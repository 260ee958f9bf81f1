-- Mark all endpoints of an application as deleted, and keep no secret of theirs.
UPDATE endpoint
SET is_deleted = 1, secrets = '[]', headers = '{}', version = version + 1, updated_at_ms = ?
WHERE app_id = ? AND is_deleted = 0
