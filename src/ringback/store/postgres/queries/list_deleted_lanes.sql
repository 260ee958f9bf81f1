-- Deleted endpoints for which something may wait.
SELECT endpoint_id FROM lane WHERE is_deleted ORDER BY endpoint_id LIMIT $1
