-- Lanes that are due, the longest due first.
SELECT endpoint_id, app_id, due_at_ms
FROM lane
WHERE due_at_ms <= $1 AND (due_at_ms, endpoint_id) > ($2, $3)
ORDER BY due_at_ms, endpoint_id
LIMIT $4
