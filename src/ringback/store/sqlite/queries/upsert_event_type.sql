-- Write an event type, new or changed.
INSERT INTO event_type (
    org_id, name, description, is_archived, is_deprecated, schemas, feature_flag, group_name,
    created_at_ms, updated_at_ms
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org_id, name) DO UPDATE SET
    description = excluded.description,
    is_archived = excluded.is_archived,
    is_deprecated = excluded.is_deprecated,
    schemas = excluded.schemas,
    feature_flag = excluded.feature_flag,
    group_name = excluded.group_name,
    created_at_ms = excluded.created_at_ms,
    updated_at_ms = excluded.updated_at_ms
