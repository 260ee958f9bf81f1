-- Messages with payload, by (application, id) pairs.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels, m.payload, m.raw_body, m.content_type,
    m.payload_expires_at_ms, m.created_at_ms
FROM json_each(?) AS wanted
CROSS JOIN message AS m
WHERE m.app_id = wanted.value ->> 0 AND m.id = wanted.value ->> 1
