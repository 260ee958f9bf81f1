-- Every node, and how much each has in flight.
SELECT
    id, epoch, host, pid, role, version, joined_at_ms, until_ms - ?, skew_ms, is_gone,
    (SELECT count(*) FROM in_flight WHERE in_flight.epoch = node.epoch),
    (
        SELECT coalesce(sum(json_array_length(CAST(deliveries AS TEXT))), 0)
        FROM in_flight
        WHERE in_flight.epoch = node.epoch
    )
FROM node
ORDER BY epoch
