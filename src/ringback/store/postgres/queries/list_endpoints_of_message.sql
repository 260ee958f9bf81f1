-- Endpoints that a message was tried at, deleted ones too, each with the latest attempt.
SELECT
    e.id, e.app_id, e.uid, e.url, e.description, e.is_disabled, e.event_types, e.channels,
    e.throttle_rate, e.metadata, e.headers, e.secrets, e.signature_scheme, e.retry,
    e.failing_since_ms, e.version, e.created_at_ms, e.updated_at_ms,
    a.id, (SELECT app_id FROM endpoint WHERE endpoint.id = a.endpoint_id), a.msg_id, a.endpoint_id,
    a.batch_id, a.number, a.trigger, a.status, a.status_code, a.url,
    a.response, a.response_headers, a.error, a.timings,
    a.started_at_ms, a.next_at_ms
FROM (
    SELECT endpoint_id, max(id) AS latest_id
    FROM attempt
    WHERE msg_id = $1 AND endpoint_id > $2 AND endpoint_id < $3 AND id > $5
    GROUP BY endpoint_id
    ORDER BY endpoint_id /* direction */
    LIMIT $4
) AS tried
JOIN endpoint AS e ON e.id = tried.endpoint_id
CROSS JOIN LATERAL (
    SELECT * FROM attempt
    WHERE attempt.endpoint_id = tried.endpoint_id AND attempt.id = tried.latest_id
    OFFSET 0
) AS a
ORDER BY tried.endpoint_id /* direction */
