-- An endpoint by id or uid; an id goes before a uid that looks like it.
SELECT
    id, app_id, uid, url, description, is_disabled, event_types, channels, throttle_rate, metadata,
    headers, secrets, signature_scheme, retry, failing_since_ms, version, created_at_ms,
    updated_at_ms
FROM endpoint
WHERE id = coalesce(
    (SELECT id FROM endpoint WHERE id = $2 AND app_id = $1 AND NOT is_deleted),
    (SELECT id FROM endpoint WHERE app_id = $1 AND uid = $2 AND NOT is_deleted)
)
