-- An application by id, whatever its organization.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE id = $1 AND NOT is_deleted
