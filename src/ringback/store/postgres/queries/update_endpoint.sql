-- Write a changed endpoint.
UPDATE endpoint SET
    uid = $1, url = $2, description = $3, is_disabled = $4, event_types = $5, channels = $6,
    throttle_rate = $7, metadata = $8, headers = $9, secrets = $10, signature_scheme = $11,
    retry = $12, failing_since_ms = $13, version = $14, updated_at_ms = $15
WHERE id = $16 AND NOT is_deleted
