-- Forget the events of a state that ended first, a batch of them, if that was before an instant.
DELETE FROM ringback_inbox
WHERE ended_at_ms < ?1 AND state = /* state */ AND id IN (
    SELECT id FROM ringback_inbox
    WHERE ended_at_ms < ?1 AND state = /* state */
    ORDER BY ended_at_ms
    LIMIT ?2
)
RETURNING id;
