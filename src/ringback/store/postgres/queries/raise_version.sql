-- An application, or one of its endpoints, changed. Nobody else changes them until the end of the
-- transaction; then all nodes are told.
UPDATE application SET version = version + 1 WHERE id = $1 AND NOT is_deleted
RETURNING version, pg_notify('ringback', json_build_array('changed', id, version)::text)
