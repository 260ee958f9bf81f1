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
    FROM attempt INDEXED BY attempt_by_message
    WHERE msg_id = :msg_id AND endpoint_id > :low AND endpoint_id < :high
    GROUP BY endpoint_id
    ORDER BY endpoint_id /* direction */
    LIMIT :limit
) AS tried
CROSS JOIN endpoint AS e ON e.id = tried.endpoint_id
CROSS JOIN attempt AS a INDEXED BY attempt_by_message
    ON a.msg_id = :msg_id AND a.endpoint_id = tried.endpoint_id AND a.id = tried.latest_id
ORDER BY tried.endpoint_id /* direction */
