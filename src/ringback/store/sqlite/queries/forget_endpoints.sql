-- Forget those of the endpoints that were deleted first to which nothing refers any more.
DELETE FROM endpoint
WHERE id IN (
    SELECT id FROM endpoint
    WHERE is_deleted = 1 AND updated_at_ms < ?
    ORDER BY updated_at_ms
    LIMIT ?
)
  AND (SELECT 1 FROM attempt WHERE attempt.endpoint_id = endpoint.id LIMIT 1) IS NULL
  AND (SELECT 1 FROM waiting WHERE waiting.endpoint_id = endpoint.id LIMIT 1) IS NULL
  AND (SELECT 1 FROM lane WHERE lane.endpoint_id = endpoint.id) IS NULL
