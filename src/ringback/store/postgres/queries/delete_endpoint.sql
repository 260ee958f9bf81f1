-- Mark an endpoint as deleted, and keep no secret of it.
UPDATE endpoint
SET is_deleted = true, secrets = '[]', headers = '{}', version = version + 1, updated_at_ms = $1
WHERE id = $2 AND NOT is_deleted
