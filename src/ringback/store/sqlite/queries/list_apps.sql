-- A page of an organization's applications.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE org_id = :org_id AND is_deleted = 0 AND id > :low AND id < :high
ORDER BY id /* direction */
LIMIT :limit
