-- Write messages that are sent as something else than their payload, or have a content type.
INSERT INTO message (
    app_id, id, created_at_ms, event_type, event_id, channels, payload_expires_at_ms, payload,
    raw_body, content_type
) VALUES /* rows */ (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
