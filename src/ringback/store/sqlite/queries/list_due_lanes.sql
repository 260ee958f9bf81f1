-- Lanes that are due, the longest due first.
SELECT endpoint_id, app_id, due_at_ms
FROM lane
WHERE due_at_ms <= :now_ms AND (due_at_ms, endpoint_id) > (:after_ms, :after_id)
ORDER BY due_at_ms, endpoint_id
LIMIT :limit
