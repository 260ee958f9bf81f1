-- Write messages that are sent as their payload.
INSERT INTO message (
    app_id, id, created_at_ms, event_type, event_id, channels, payload_expires_at_ms, payload
) VALUES /* rows */ (?, ?, ?, ?, ?, ?, ?, ?)
