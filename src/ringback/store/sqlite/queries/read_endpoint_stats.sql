-- Attempts at an endpoint by status.
SELECT status, count(*) FROM attempt
WHERE endpoint_id = ? AND id >= ? AND id < ?
GROUP BY status
