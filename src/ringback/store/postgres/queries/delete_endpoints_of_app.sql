-- Mark all endpoints of an application as deleted, and keep no secret of theirs.
UPDATE endpoint
SET is_deleted = true, secrets = '[]', headers = '{}', version = version + 1, updated_at_ms = $1
WHERE app_id = $2 AND NOT is_deleted
