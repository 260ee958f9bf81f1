-- An application by id or uid, which nobody else changes until the end of the transaction.
SELECT id, org_id, name, uid, throttle_rate, metadata, version, created_at_ms, updated_at_ms
FROM application
WHERE id = coalesce(
    (SELECT id FROM application WHERE id = $2 AND org_id = $1 AND NOT is_deleted),
    (SELECT id FROM application WHERE org_id = $1 AND uid = $2 AND NOT is_deleted)
) AND NOT is_deleted
FOR UPDATE
