-- The next messages of which an attempt at an endpoint failed, and whether it ended so: nothing
-- waits or is under way, no attempt succeeded, and there is still something to send. An attempt is
-- never older than its message, so only partitions from then on are looked into.
SELECT
    tried.msg_id,
    EXISTS (
        SELECT 1 FROM message
        WHERE message.app_id = $1 AND message.id = tried.msg_id AND payload IS NOT NULL
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT 1 FROM waiting
        WHERE waiting.msg_id = tried.msg_id AND waiting.endpoint_id = $2
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT 1 FROM attempt
        WHERE attempt.msg_id = tried.msg_id AND attempt.endpoint_id = $2 AND status = 0
          AND attempt.id > 'atmpt_' || substr(tried.msg_id, 5, 4)
        OFFSET 0
    )
    AND (
        SELECT next_at_ms FROM attempt
        WHERE attempt.msg_id = tried.msg_id AND attempt.endpoint_id = $2
          AND attempt.id > 'atmpt_' || substr(tried.msg_id, 5, 4)
        ORDER BY attempt.id DESC
        LIMIT 1
    ) = 0
FROM (
    SELECT DISTINCT msg_id FROM attempt
    WHERE endpoint_id = $2 AND status = 2 AND id > $7
      AND msg_id > $3 AND msg_id >= $4 AND msg_id < $5
    ORDER BY msg_id
    LIMIT $6
) AS tried
