-- Make lanes due no later than the given instants. A parked lane stays parked.
INSERT INTO lane (endpoint_id, app_id, due_at_ms)
VALUES /* rows */ (?, ?, ?)
ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = excluded.due_at_ms
WHERE lane.due_at_ms > excluded.due_at_ms
