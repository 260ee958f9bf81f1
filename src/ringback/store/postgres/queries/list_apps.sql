-- A page of an organization's applications.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE org_id = $1 AND NOT is_deleted AND id > $2 AND id < $3
ORDER BY id /* direction */
LIMIT $4
