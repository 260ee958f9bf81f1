-- Forget lanes, of those given, that have no waiting rows and are not parked.
DELETE FROM lane
WHERE endpoint_id = ANY ($1::text[]) AND due_at_ms IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id)
