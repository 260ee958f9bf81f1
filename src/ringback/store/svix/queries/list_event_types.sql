-- Event types, archived ones too.
SELECT to_json(eventtype)::text FROM eventtype ORDER BY org_id, name
