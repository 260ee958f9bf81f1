-- Make lanes due no earlier than the given instants. A parked lane stays parked.
UPDATE lane SET due_at_ms = max(lane.due_at_ms, change.value ->> 1)
FROM json_each(?) AS change
WHERE lane.endpoint_id = change.value ->> 0 AND lane.due_at_ms IS NOT NULL
