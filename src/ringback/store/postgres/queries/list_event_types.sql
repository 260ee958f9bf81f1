-- A page of an organization's event types.
SELECT
    org_id, name, description, is_archived, is_deprecated, schemas, feature_flag, group_name,
    created_at_ms, updated_at_ms
FROM event_type
WHERE org_id = $1 AND name > $2 AND name < $3
  AND ($5::boolean OR NOT is_archived)
  AND ($6::text[] IS NULL OR feature_flag IS NULL OR feature_flag = ANY ($6))
ORDER BY name /* direction */
LIMIT $4
