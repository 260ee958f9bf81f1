-- Lease the events that are due, the longest due first; of a key its oldest one, if none is leased.
-- The two questions about a key are no EXISTS, because PostgreSQL may answer that for all keys at
-- once, by reading the whole table.
WITH due AS MATERIALIZED (
    SELECT one.id FROM ringback_inbox AS one
    WHERE one.state = 'waiting' AND one.due_at_ms <= $3::bigint
        AND (one.order_key IS NULL OR one.id = (
            SELECT oldest.id FROM ringback_inbox AS oldest
            WHERE oldest.source = one.source AND oldest.order_key = one.order_key
                AND oldest.state = 'waiting'
            ORDER BY oldest.id LIMIT 1
        ) AND (
            SELECT busy.id FROM ringback_inbox AS busy
            WHERE busy.source = one.source AND busy.order_key = one.order_key
                AND busy.lease IS NOT NULL AND busy.due_at_ms > $3::bigint
            LIMIT 1
        ) IS NULL)
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
