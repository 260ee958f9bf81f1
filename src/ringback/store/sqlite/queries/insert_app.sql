-- Write a new application.
INSERT INTO application (
    id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
