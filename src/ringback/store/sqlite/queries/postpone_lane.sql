-- Make a lane due no earlier than an instant. A parked lane stays parked.
UPDATE lane SET due_at_ms = max(due_at_ms, ?) WHERE endpoint_id = ? AND due_at_ms IS NOT NULL
