-- Take waiting rows of an endpoint away, a bounded number.
DELETE FROM waiting
WHERE id IN (SELECT id FROM waiting WHERE endpoint_id = ? ORDER BY due_at_ms, id LIMIT ?)
