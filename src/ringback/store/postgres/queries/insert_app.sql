-- Write a new application.
INSERT INTO application (
    id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
