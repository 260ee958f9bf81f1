-- Mark an endpoint as deleted, and keep no secret of it.
UPDATE endpoint
SET is_deleted = 1, secrets = '[]', headers = '{}', version = version + 1, updated_at_ms = ?
WHERE id = ? AND is_deleted = 0
