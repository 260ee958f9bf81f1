-- An application by id or uid; an id goes before a uid that looks like it.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE id = coalesce(
    (SELECT id FROM application WHERE id = :ref AND org_id = :org_id AND is_deleted = 0),
    (SELECT id FROM application WHERE org_id = :org_id AND uid = :ref AND is_deleted = 0)
)
