-- Messages tried at an endpoint that has few attempts: from the attempts to the messages.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN $5::boolean THEN m.payload END, CASE WHEN $5::boolean THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM (
    SELECT msg_id, max(id) AS latest_id, bool_or(status = 0) AS is_delivered
    FROM attempt
    WHERE endpoint_id = $1 AND id > $9 AND msg_id > $2 AND msg_id < $3
    GROUP BY msg_id
    ORDER BY msg_id /* direction */
) AS tried
CROSS JOIN LATERAL (
    SELECT * FROM message WHERE message.app_id = $8 AND message.id = tried.msg_id OFFSET 0
) AS m
CROSS JOIN LATERAL (
    SELECT * FROM attempt
    WHERE attempt.endpoint_id = $1 AND attempt.id = tried.latest_id
    OFFSET 0
) AS a
WHERE (NOT $10::boolean OR tried.is_delivered)
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(m.channels, $7) > 0)
ORDER BY tried.msg_id /* direction */
LIMIT $4
