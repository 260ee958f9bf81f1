-- The messages of a span of time that come after one, in the order of the table's key.
SELECT app_id, id FROM message
WHERE id >= $1 AND id < $2 AND (app_id, id) > ($3, $4)
ORDER BY app_id, id
LIMIT $5
