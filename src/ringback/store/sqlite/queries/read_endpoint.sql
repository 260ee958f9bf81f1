-- An endpoint by id or uid; an id goes before a uid that looks like it.
SELECT
    id, app_id, uid, url, description, is_disabled, event_types, channels, throttle_rate, metadata,
    headers, secrets, signature_scheme, retry, failing_since_ms, version, created_at_ms,
    updated_at_ms
FROM endpoint
WHERE id = coalesce(
    (SELECT id FROM endpoint WHERE id = :ref AND app_id = :app_id AND is_deleted = 0),
    (SELECT id FROM endpoint WHERE app_id = :app_id AND uid = :ref AND is_deleted = 0)
)
