-- Attempts at an endpoint by status: succeeded, failed, canceled.
SELECT
    count(*) FILTER (WHERE status = 0),
    count(*) FILTER (WHERE status = 2),
    count(*) FILTER (WHERE status = 4)
FROM attempt
WHERE endpoint_id = $1 AND id >= $2 AND id < $3
