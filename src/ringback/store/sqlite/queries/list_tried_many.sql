-- Messages tried at an endpoint that has many attempts: from the messages to the attempts, in
-- order, until the page is full. The cost is that of the messages in between: where one of 30,000
-- was tried, 30 ms and more where list_tried_few takes a tenth of one.
SELECT
    m.id, m.app_id, m.event_type, m.event_id, m.channels,
    CASE WHEN :with_payload THEN m.payload END, CASE WHEN :with_payload THEN m.raw_body END,
    m.content_type, m.payload_expires_at_ms, m.created_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM message AS m
CROSS JOIN attempt AS a INDEXED BY attempt_by_message
    ON a.msg_id = m.id AND a.endpoint_id = :endpoint_id
    AND a.id = (
        SELECT max(latest.id) FROM attempt AS latest
        WHERE latest.msg_id = m.id AND latest.endpoint_id = :endpoint_id
    )
WHERE m.app_id = :app_id AND m.id > :low AND m.id < :high
  AND (
      NOT :only_delivered
      OR EXISTS (
          SELECT 1 FROM attempt AS success INDEXED BY attempt_by_message
          WHERE success.msg_id = m.id AND success.endpoint_id = :endpoint_id
            AND success.status = 0
      )
  )
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (
      :channel IS NULL
      OR (m.channels <> '' AND :channel IN (SELECT value FROM json_each(m.channels)))
  )
ORDER BY m.id /* direction */
LIMIT :limit
