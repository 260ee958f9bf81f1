-- Forget the lane of a deleted endpoint for which nothing waits.
DELETE FROM lane
WHERE endpoint_id = ? AND is_deleted = 1
  AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id)
