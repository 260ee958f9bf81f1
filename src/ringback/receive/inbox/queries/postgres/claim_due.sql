-- Lease the events that are due, the longest due first; of a key its oldest one, if none is leased.
WITH due AS MATERIALIZED (
    SELECT one.id FROM ringback_inbox AS one
    WHERE one.state = 'waiting' AND one.due_at_ms <= $3::bigint
        AND (one.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM ringback_inbox AS earlier
            WHERE earlier.source = one.source AND earlier.order_key = one.order_key
                AND earlier.state = 'waiting' AND earlier.id < one.id
        ) AND NOT EXISTS (
            SELECT 1 FROM ringback_inbox AS busy
            WHERE busy.source = one.source AND busy.order_key = one.order_key
                AND busy.lease IS NOT NULL AND busy.due_at_ms > $3::bigint
        ))
    ORDER BY one.due_at_ms, one.id
    LIMIT $4::bigint
    FOR UPDATE OF one SKIP LOCKED
)
UPDATE ringback_inbox AS inbox
SET lease = $1::text, due_at_ms = $2::bigint, attempts = attempts + 1
FROM due
WHERE inbox.id = due.id
RETURNING inbox.id, source, dedupe_id, type, timestamp_s, body, decoded, origin, order_key,
    received_at_ms, attempts, lease;
