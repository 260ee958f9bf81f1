-- A page of the attempts to deliver a message, which have to be sorted.
SELECT
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    CASE WHEN $5::boolean THEN a.response ELSE ''::bytea END,
    CASE WHEN $5::boolean THEN a.response_headers ELSE '' END, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM attempt AS a
WHERE a.msg_id = $1 AND a.id > $2 AND a.id < $3
  AND ($11::text IS NULL OR a.endpoint_id = $11)
  AND ($6::smallint IS NULL OR a.status = $6)
  AND ($7::integer IS NULL OR a.status_code BETWEEN $7 AND $8::integer)
  AND (
      ($9::text[] IS NULL AND $10::text IS NULL)
      OR EXISTS (
          SELECT 1 FROM message AS m
          WHERE m.app_id = (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id)
            AND m.id = a.msg_id
            AND ($9::text[] IS NULL OR m.event_type = ANY ($9))
            AND ($10::text IS NULL OR strpos(m.channels, $10) > 0)
          OFFSET 0
      )
  )
ORDER BY a.id /* direction */
LIMIT $4
