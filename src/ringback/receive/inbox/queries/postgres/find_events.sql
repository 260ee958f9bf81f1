-- Events in a state, the newest first, below a number; of a source and type, or of any.
SELECT id, source, dedupe_id, type, timestamp_s, origin, order_key, request, state, attempts,
    lease IS NOT NULL, error, due_at_ms, received_at_ms, ended_at_ms, is_id_signed
FROM ringback_inbox
WHERE state = /* state */ AND id < $1::bigint
    AND ($2::text IS NULL OR source = $2::text) AND ($3::text IS NULL OR type = $3::text)
ORDER BY id DESC
LIMIT $4::bigint;
