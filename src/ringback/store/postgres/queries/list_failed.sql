-- Messages whose latest attempt at an endpoint failed: for good ($10), or with a next one. An attempt
-- is never older than its message, so only partitions from then on are looked into.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN $5::boolean THEN m.payload END, CASE WHEN $5::boolean THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM attempt AS a
CROSS JOIN LATERAL (
    SELECT * FROM message WHERE message.app_id = $8 AND message.id = a.msg_id OFFSET 0
) AS m
WHERE a.endpoint_id = $1 AND a.status = 2 AND a.id > $9
  AND a.msg_id > $2 AND a.msg_id < $3
  AND NOT EXISTS (
      SELECT 1 FROM attempt AS later
      WHERE later.msg_id = a.msg_id AND later.endpoint_id = $1 AND later.id > a.id
      OFFSET 0
  )
  AND CASE
      WHEN $10::boolean THEN a.next_at_ms = 0 AND NOT EXISTS (
          SELECT 1 FROM attempt AS success
          WHERE success.msg_id = a.msg_id AND success.endpoint_id = $1 AND success.status = 0
            AND success.id > 'atmpt_' || substr(a.msg_id, 5, 4) AND success.id < a.id
          OFFSET 0
      )
      ELSE a.next_at_ms <> 0
  END
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(m.channels, $7) > 0)
ORDER BY a.msg_id /* direction */
LIMIT $4
