-- Forget those of the applications that were deleted first which have no messages any more.
DELETE FROM application
WHERE id IN (
    SELECT id FROM application
    WHERE is_deleted = 1 AND updated_at_ms < ?
    ORDER BY updated_at_ms
    LIMIT ?
)
  AND (SELECT 1 FROM message WHERE message.app_id = application.id LIMIT 1) IS NULL
