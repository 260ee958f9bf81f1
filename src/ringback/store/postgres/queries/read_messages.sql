-- Messages with payload, by (application, id) pairs; the lowest and the highest id say in which
-- partitions.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels, m.payload, m.raw_body, m.content_type,
    m.payload_expires_at_ms, m.created_at_ms
FROM unnest($1::text[], $2::text[]) AS wanted (app_id, id)
JOIN message AS m ON m.app_id = wanted.app_id AND m.id = wanted.id
WHERE m.id >= $3 AND m.id <= $4
