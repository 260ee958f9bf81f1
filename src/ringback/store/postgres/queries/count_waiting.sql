-- How much waits for an endpoint.
SELECT count(*) FROM waiting WHERE endpoint_id = $1
