-- An application by id or uid; an id goes before a uid that looks like it.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE org_id = :org_id AND is_deleted = 0 AND (id = :ref OR uid = :ref)
ORDER BY id = :ref DESC
LIMIT 1
