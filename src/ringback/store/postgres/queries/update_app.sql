-- Write a changed application.
UPDATE application SET
    name = $1, uid = $2, throttle_rate = $3, metadata = $4, version = $5, updated_at_ms = $6
WHERE id = $7 AND NOT is_deleted
