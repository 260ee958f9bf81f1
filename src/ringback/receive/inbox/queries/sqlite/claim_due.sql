-- Lease the events that are due, the longest due first; of a key its oldest one, if none is leased.
-- The index is named, because the planner cannot know that hardly any event waits.
UPDATE ringback_inbox
SET lease = ?1, due_at_ms = ?2, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM ringback_inbox AS one INDEXED BY ringback_inbox_due
    WHERE state = 'waiting' AND due_at_ms <= ?3
        AND (order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM ringback_inbox AS earlier
            WHERE earlier.source = one.source AND earlier.order_key = one.order_key
                AND earlier.state = 'waiting' AND earlier.id < one.id
        ) AND NOT EXISTS (
            SELECT 1 FROM ringback_inbox AS busy
            WHERE busy.source = one.source AND busy.order_key = one.order_key
                AND busy.lease IS NOT NULL AND busy.due_at_ms > ?3
        ))
    ORDER BY due_at_ms, id
    LIMIT ?4
)
RETURNING id, source, dedupe_id, type, timestamp_s, body, decoded, origin, order_key,
    received_at_ms, attempts, lease;
