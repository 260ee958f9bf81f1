-- A page of an application's endpoints.
SELECT
    id, app_id, uid, url, description, is_disabled, event_types, channels, throttle_rate, metadata,
    headers, secrets, signature_scheme, retry, failing_since_ms, version, created_at_ms,
    updated_at_ms
FROM endpoint
WHERE app_id = $1 AND NOT is_deleted AND id > $2 AND id < $3
ORDER BY id /* direction */
LIMIT $4
