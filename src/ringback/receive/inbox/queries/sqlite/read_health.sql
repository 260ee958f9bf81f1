-- What waits, what of it is leased, what of it has failed before, when the oldest came, the dead.
SELECT count(*), count(lease), coalesce(sum(lease IS NULL AND attempts > 0), 0),
    min(received_at_ms),
    (SELECT count(*) FROM ringback_inbox WHERE state = 'dead')
FROM ringback_inbox
WHERE state = 'waiting';
