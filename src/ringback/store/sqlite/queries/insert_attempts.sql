-- Write attempts.
INSERT INTO attempt (
    id, msg_id, endpoint_id, batch_id, number, trigger, status, status_code, started_at_ms,
    next_at_ms, timings, url, error, response_headers, response
) VALUES /* rows */ (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
