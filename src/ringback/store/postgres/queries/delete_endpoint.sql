-- Mark an endpoint as deleted.
UPDATE endpoint SET is_deleted = true, version = version + 1, updated_at_ms = $1
WHERE id = $2 AND NOT is_deleted
