-- Forget the lanes, of those given, of deleted endpoints for which nothing waits.
DELETE FROM lane
WHERE endpoint_id = ANY ($1::text[]) AND is_deleted
  AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id)
