-- Forget those of the applications that were deleted first which have no messages any more.
DELETE FROM application
WHERE id IN (
    SELECT id FROM application
    WHERE is_deleted AND updated_at_ms < $1
    ORDER BY updated_at_ms
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
  AND (SELECT 1 FROM message WHERE message.app_id = application.id LIMIT 1) IS NULL
