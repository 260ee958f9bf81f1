-- The bytes as they were received: the event's own, or those of the request that it came in.
SELECT coalesce(one.body, whole.body)
FROM ringback_inbox AS one
LEFT JOIN ringback_inbox AS whole
    ON whole.source = one.source AND whole.dedupe_id = one.request
WHERE one.id = $1::bigint;
