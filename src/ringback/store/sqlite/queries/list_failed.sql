-- Messages whose latest attempt at an endpoint failed: for good (`:is_final`), or with a next one.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN :with_payload THEN m.payload END, CASE WHEN :with_payload THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM attempt AS a INDEXED BY attempt_failed
CROSS JOIN message AS m ON m.app_id = :app_id AND m.id = a.msg_id
WHERE a.endpoint_id = :endpoint_id AND a.status = 2 AND a.msg_id > :low AND a.msg_id < :high
  AND a.id = (
      SELECT max(latest.id) FROM attempt AS latest INDEXED BY attempt_by_message
      WHERE latest.msg_id = a.msg_id AND latest.endpoint_id = :endpoint_id
  )
  AND CASE
      WHEN :is_final THEN a.next_at_ms = 0 AND NOT EXISTS (
          SELECT 1 FROM attempt AS success INDEXED BY attempt_by_message
          WHERE success.msg_id = a.msg_id AND success.endpoint_id = :endpoint_id
            AND success.status = 0
      )
      ELSE a.next_at_ms <> 0
  END
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (
      :channel IS NULL
      OR (m.channels <> '' AND :channel IN (SELECT value FROM json_each(m.channels)))
  )
ORDER BY a.msg_id /* direction */
LIMIT :limit
