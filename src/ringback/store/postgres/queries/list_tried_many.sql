-- Messages tried at an endpoint that has many attempts: from the messages to the attempts. An
-- attempt is never older than its message, so only partitions from then on are looked into.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN $5::boolean THEN m.payload END, CASE WHEN $5::boolean THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM message AS m
CROSS JOIN LATERAL (
    SELECT * FROM attempt
    WHERE attempt.msg_id = m.id AND attempt.endpoint_id = $1
      AND attempt.id > 'atmpt_' || substr(m.id, 5, 4) AND attempt.id > $9
    ORDER BY attempt.id DESC
    LIMIT 1
) AS a
WHERE m.app_id = $8 AND m.id > $2 AND m.id < $3
  AND (
      NOT $10::boolean
      OR EXISTS (
          SELECT 1 FROM attempt AS success
          WHERE success.msg_id = m.id AND success.endpoint_id = $1 AND success.status = 0
            AND success.id > 'atmpt_' || substr(m.id, 5, 4)
          OFFSET 0
      )
  )
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(m.channels, $7) > 0)
ORDER BY m.id /* direction */
LIMIT $4
