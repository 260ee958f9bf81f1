-- One event by what it is deduped by.
SELECT id, source, dedupe_id, type, timestamp_s, origin, order_key, request, state, attempts,
    lease IS NOT NULL, error, due_at_ms, received_at_ms, ended_at_ms, is_id_signed
FROM ringback_inbox
WHERE source = ?1 AND dedupe_id = ?2;
