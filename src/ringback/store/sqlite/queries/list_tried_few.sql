-- Messages tried at an endpoint that has few attempts: from the attempts to the messages. They have
-- to be sorted by message, so that is done with numbers alone, and rows are read for the page.
-- The cost is that of all its attempts: with 30,000 of them, 100 ms and more where list_tried_many
-- takes less than one.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN :with_payload THEN m.payload END, CASE WHEN :with_payload THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM (
    SELECT m.seq AS message_seq, a.seq AS attempt_seq
    FROM (
        SELECT DISTINCT msg_id FROM attempt INDEXED BY attempt_by_endpoint
        WHERE endpoint_id = :endpoint_id AND id > :attempt_low AND msg_id > :low AND msg_id < :high
    ) AS tried
    CROSS JOIN message AS m ON m.app_id = :app_id AND m.id = tried.msg_id
    CROSS JOIN attempt AS a INDEXED BY attempt_by_message
        ON a.msg_id = m.id AND a.endpoint_id = :endpoint_id
        AND a.id = (
            SELECT max(latest.id) FROM attempt AS latest
            WHERE latest.msg_id = m.id AND latest.endpoint_id = :endpoint_id
        )
    WHERE (
          NOT :only_delivered
          OR EXISTS (
              SELECT 1 FROM attempt AS success INDEXED BY attempt_by_message
              WHERE success.msg_id = m.id AND success.endpoint_id = :endpoint_id
                AND success.status = 0
          )
      )
      AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
      AND (
          :channel IS NULL
          OR (m.channels <> '' AND :channel IN (SELECT value FROM json_each(m.channels)))
      )
    ORDER BY m.id /* direction */
    LIMIT :limit
) AS found
CROSS JOIN message AS m ON m.seq = found.message_seq
CROSS JOIN attempt AS a ON a.seq = found.attempt_seq
ORDER BY m.id /* direction */
