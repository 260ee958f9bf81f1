-- A page of an organization's event types.
SELECT
    org_id, name, description, is_archived, is_deprecated, schemas, feature_flag, group_name,
    created_at_ms, updated_at_ms
FROM event_type
WHERE org_id = :org_id AND name > :low AND name < :high
  AND (:include_archived OR is_archived = 0)
  AND (
      :flags IS NULL OR feature_flag IS NULL
      OR feature_flag IN (SELECT value FROM json_each(:flags))
  )
ORDER BY name /* direction */
LIMIT :limit
