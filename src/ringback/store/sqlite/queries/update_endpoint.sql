-- Write a changed endpoint.
UPDATE endpoint SET
    uid = ?, url = ?, description = ?, is_disabled = ?, event_types = ?, channels = ?,
    throttle_rate = ?, metadata = ?, headers = ?, secrets = ?, signature_scheme = ?, retry = ?,
    failing_since_ms = ?, version = ?, updated_at_ms = ?
WHERE id = ? AND is_deleted = 0
