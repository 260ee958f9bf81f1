-- Keep an event, unless it is here already. Behind others of its key it need not be looked at
-- before they are: whoever ends its predecessor takes it, and its due time is the safety net.
INSERT INTO ringback_inbox (
    source, dedupe_id, type, timestamp_s, is_id_signed, body, decoded, request, order_key, origin,
    state, attempts, received_at_ms, ended_at_ms, due_at_ms
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12,
    CASE WHEN ?11 <> 'waiting' THEN ?12 END, max(?12, coalesce((
    SELECT due_at_ms FROM ringback_inbox
    WHERE source = ?1 AND order_key = ?9 AND state = 'waiting'
    ORDER BY id DESC LIMIT 1
), 0)))
ON CONFLICT (source, dedupe_id) DO NOTHING
RETURNING source, dedupe_id;
