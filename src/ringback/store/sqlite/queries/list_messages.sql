-- A page of an application's messages.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN :with_payload THEN m.payload END, CASE WHEN :with_payload THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms
FROM message AS m
WHERE m.app_id = :app_id AND m.id > :low AND m.id < :high
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (
      :channel IS NULL
      OR (m.channels <> '' AND :channel IN (SELECT value FROM json_each(m.channels)))
  )
ORDER BY m.id /* direction */
LIMIT :limit
