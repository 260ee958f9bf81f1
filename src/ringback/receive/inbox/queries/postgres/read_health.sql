-- What waits, what of it is leased, what of it has failed before, when the oldest came, and the dead:
-- each counted up to a limit, so that a long queue is not made longer by being looked at.
SELECT count(*), count(lease), count(*) FILTER (WHERE lease IS NULL AND attempts > 0),
    min(received_at_ms),
    (SELECT count(*) FROM (
        SELECT 1 FROM ringback_inbox WHERE state = 'dead' LIMIT $1::bigint
    ) AS dead)
FROM (
    SELECT lease, attempts, received_at_ms FROM ringback_inbox
    WHERE state = 'waiting'
    ORDER BY due_at_ms, id
    LIMIT $1::bigint
) AS waiting;
