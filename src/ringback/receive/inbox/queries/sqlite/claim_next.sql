-- Lease the oldest event of a key whose last one has ended just now, if it was never tried.
UPDATE ringback_inbox
SET lease = ?1, due_at_ms = ?2, attempts = attempts + 1
WHERE id = (
    SELECT id FROM ringback_inbox
    WHERE source = ?4 AND order_key = ?5 AND state = 'waiting'
    ORDER BY id LIMIT 1
) AND lease IS NULL AND attempts = 0 AND NOT EXISTS (
    SELECT 1 FROM ringback_inbox AS busy
    WHERE busy.source = ?4 AND busy.order_key = ?5
        AND busy.lease IS NOT NULL AND busy.due_at_ms > ?3
)
RETURNING id, source, dedupe_id, type, timestamp_s, body, decoded, origin, order_key,
    received_at_ms, attempts, lease;
