-- Mark an application as deleted.
UPDATE application SET is_deleted = 1, version = version + 1, updated_at_ms = ?
WHERE id = ? AND is_deleted = 0
