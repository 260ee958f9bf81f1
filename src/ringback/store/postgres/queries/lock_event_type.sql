-- An event type by name, which nobody else changes until the end of the transaction.
SELECT
    org_id, name, description, is_archived, is_deprecated, schemas, feature_flag, group_name,
    created_at_ms, updated_at_ms
FROM event_type
WHERE org_id = $1 AND name = $2
FOR UPDATE
