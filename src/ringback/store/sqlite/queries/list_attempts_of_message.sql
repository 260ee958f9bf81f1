-- A page of the attempts to deliver a message: its index has them by endpoint, so they have to be
-- sorted. That is done with numbers alone, and rows, which hold responses, are read for the page.
-- See list_attempts_of_endpoint.
SELECT
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    CASE WHEN :with_response THEN a.response ELSE x'' END,
    CASE WHEN :with_response THEN a.response_headers ELSE '' END, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM (
    SELECT a.seq AS attempt_seq
    FROM attempt AS a INDEXED BY attempt_by_message
    WHERE a.msg_id = :msg_id AND (:endpoint_id IS NULL OR a.endpoint_id = :endpoint_id)
      AND a.id > :low AND a.id < :high
      AND (:status IS NULL OR a.status = :status)
      AND (:status_low IS NULL OR a.status_code BETWEEN :status_low AND :status_high)
      AND (
          (:event_types IS NULL AND :channel IS NULL)
          OR EXISTS (
              SELECT 1 FROM message AS m
              WHERE m.app_id = (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id)
                AND m.id = a.msg_id
                AND (
                    :event_types IS NULL
                    OR m.event_type IN (SELECT value FROM json_each(:event_types))
                )
                AND (
                    :channel IS NULL
                    OR (m.channels <> '' AND :channel IN (SELECT value FROM json_each(m.channels)))
                )
          )
      )
    ORDER BY a.id /* direction */
    LIMIT :limit
) AS found
CROSS JOIN attempt AS a ON a.seq = found.attempt_seq
ORDER BY a.id /* direction */
