-- Deleted endpoints for which something may wait.
SELECT endpoint_id FROM lane INDEXED BY lane_deleted
WHERE is_deleted = 1
ORDER BY endpoint_id
LIMIT ?
