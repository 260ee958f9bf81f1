-- A page of an application's messages.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN $5::boolean THEN m.payload END, CASE WHEN $5::boolean THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms
FROM message AS m
WHERE m.app_id = $1 AND m.id > $2 AND m.id < $3
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(m.channels, $7) > 0)
ORDER BY m.id /* direction */
LIMIT $4
