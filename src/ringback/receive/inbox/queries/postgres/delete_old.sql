-- Forget the oldest events of a state, a batch of them, if they came before an instant.
DELETE FROM ringback_inbox
WHERE received_at_ms < $1::bigint AND state = /* state */ AND id IN (
    SELECT id FROM ringback_inbox
    WHERE state = /* state */
    ORDER BY id
    LIMIT $2::bigint
)
RETURNING id;
