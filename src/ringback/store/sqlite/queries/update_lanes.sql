-- Make lanes due when the earliest of their rows is. A parked lane stays parked.
UPDATE lane SET due_at_ms = (
    SELECT min(due_at_ms) FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id
)
WHERE endpoint_id IN (SELECT value FROM json_each(?)) AND +due_at_ms IS NOT NULL
