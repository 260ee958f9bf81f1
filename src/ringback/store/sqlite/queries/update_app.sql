-- Write a changed application.
UPDATE application SET
    name = ?, uid = ?, throttle_rate = ?, metadata = ?, version = ?, updated_at_ms = ?
WHERE id = ? AND is_deleted = 0
