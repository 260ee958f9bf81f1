-- Write a new endpoint.
INSERT INTO endpoint (
    id, app_id, uid, url, description, is_disabled, event_types, channels, throttle_rate, metadata,
    headers, secrets, signature_scheme, retry, failing_since_ms, version, created_at_ms,
    updated_at_ms
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
)
