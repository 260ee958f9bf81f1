-- Make lanes due no earlier than an instant. A parked lane stays parked.
UPDATE lane SET due_at_ms = later.due_at_ms
FROM (
    SELECT lane.endpoint_id, wanted.due_at_ms
    FROM unnest($1::text[], $2::bigint[]) AS wanted (endpoint_id, due_at_ms)
    JOIN lane ON lane.endpoint_id = wanted.endpoint_id AND lane.due_at_ms < wanted.due_at_ms
    ORDER BY lane.endpoint_id
    FOR NO KEY UPDATE OF lane
) AS later
WHERE lane.endpoint_id = later.endpoint_id
