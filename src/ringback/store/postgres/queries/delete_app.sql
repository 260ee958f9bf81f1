-- Mark an application as deleted. All nodes are told.
UPDATE application SET is_deleted = true, version = version + 1, updated_at_ms = $1
WHERE id = $2 AND NOT is_deleted
RETURNING pg_notify('ringback', json_build_array('changed', id, version)::text)
