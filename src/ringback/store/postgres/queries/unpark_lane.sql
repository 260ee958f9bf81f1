-- What waits for this endpoint is due again.
UPDATE lane SET due_at_ms = coalesce(
    (SELECT min(due_at_ms) FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id), 0
)
WHERE endpoint_id = $1 AND NOT is_deleted
