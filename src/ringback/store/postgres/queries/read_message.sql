-- A message by id or event id; an id goes before an event id that looks like it.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels, m.payload, m.raw_body, m.content_type,
    m.payload_expires_at_ms, m.created_at_ms
FROM message AS m
WHERE m.app_id = $1 AND m.id = coalesce(
    (SELECT id FROM message WHERE app_id = $1 AND id = $2),
    (SELECT message_id FROM event_id WHERE app_id = $1 AND event_id = $2)
)
