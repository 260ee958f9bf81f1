-- Every node, and how much each has in flight.
SELECT
    id, epoch, host, pid, role, version, joined_at_ms, until_ms - server_ms(), skew_ms, is_gone,
    coalesce(held.batches, 0), coalesce(held.deliveries, 0)
FROM node
LEFT JOIN (
    SELECT
        epoch, count(*) AS batches, sum(json_array_length(deliveries::json))::bigint AS deliveries
    FROM in_flight
    GROUP BY epoch
) AS held USING (epoch)
ORDER BY epoch
