-- Write an event type, new or changed; a new one ($11) takes the place of an archived one only.
INSERT INTO event_type (
    org_id, name, description, is_archived, is_deprecated, schemas, feature_flag, group_name,
    created_at_ms, updated_at_ms
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (org_id, name) DO UPDATE SET
    description = excluded.description,
    is_archived = excluded.is_archived,
    is_deprecated = excluded.is_deprecated,
    schemas = excluded.schemas,
    feature_flag = excluded.feature_flag,
    group_name = excluded.group_name,
    created_at_ms = excluded.created_at_ms,
    updated_at_ms = excluded.updated_at_ms
WHERE event_type.is_archived OR NOT $11::boolean
RETURNING name
