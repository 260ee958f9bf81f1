-- The next messages of which an attempt at an endpoint failed, and whether it ended so: nothing
-- waits or is under way, no attempt succeeded, and there is still something to send.
SELECT
    tried.msg_id,
    EXISTS (
        SELECT 1 FROM message
        WHERE message.app_id = :app_id AND message.id = tried.msg_id AND payload IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM waiting
        WHERE waiting.msg_id = tried.msg_id AND waiting.endpoint_id = :endpoint_id
    )
    AND NOT EXISTS (
        SELECT 1 FROM attempt INDEXED BY attempt_by_message
        WHERE attempt.msg_id = tried.msg_id AND attempt.endpoint_id = :endpoint_id
          AND status = 0
    )
    AND (
        SELECT next_at_ms FROM attempt INDEXED BY attempt_by_message
        WHERE attempt.msg_id = tried.msg_id AND attempt.endpoint_id = :endpoint_id
        ORDER BY attempt.id DESC
        LIMIT 1
    ) = 0
FROM (
    SELECT DISTINCT msg_id FROM attempt INDEXED BY attempt_failed
    WHERE endpoint_id = :endpoint_id AND status = 2
      AND msg_id > :cursor AND msg_id >= :low AND msg_id < :high
    ORDER BY msg_id
    LIMIT :limit
) AS tried
