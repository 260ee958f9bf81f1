-- How many attempts at an endpoint there are after an id; counting stops at a limit.
SELECT count(*)
FROM (SELECT 1 FROM attempt WHERE endpoint_id = $1 AND id > $2 LIMIT $3) AS counted
