-- Write a changed application. All nodes are told.
UPDATE application SET
    name = $1, uid = $2, throttle_rate = $3, metadata = $4, version = $5, updated_at_ms = $6
WHERE id = $7 AND NOT is_deleted
RETURNING pg_notify('ringback', json_build_array('changed', id, version)::text)
