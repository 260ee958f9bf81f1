-- Write deliveries that wait.
INSERT INTO waiting (endpoint_id, due_at_ms, app_id, msg_id, attempts_made, trigger)
VALUES /* rows */ (?, ?, ?, ?, ?, ?)
