-- A message by id or event id; an id goes before an event id that looks like it.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels, m.payload, m.raw_body, m.content_type,
    m.payload_expires_at_ms, m.created_at_ms
FROM message AS m
WHERE m.app_id = :app_id AND m.id = coalesce(
    (SELECT id FROM message WHERE app_id = :app_id AND id = :ref),
    (SELECT id FROM message WHERE app_id = :app_id AND event_id = :ref AND event_id <> '')
)
