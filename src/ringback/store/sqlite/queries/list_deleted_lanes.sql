-- Deleted endpoints for which something may wait.
SELECT endpoint_id FROM lane WHERE is_deleted = 1 ORDER BY endpoint_id LIMIT ?
