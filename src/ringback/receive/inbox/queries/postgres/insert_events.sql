-- Keep events, unless they are here already. Behind others of its key one need not be looked at
-- before they are: whoever ends its predecessor takes it, and its due time is the safety net.
INSERT INTO ringback_inbox (
    source, dedupe_id, type, timestamp_s, is_id_signed, body, decoded, request, order_key, origin,
    state, attempts, received_at_ms, ended_at_ms, due_at_ms
)
SELECT one.source, one.dedupe_id, one.type, one.timestamp_s, one.is_id_signed, one.body,
    one.decoded, one.request, one.order_key, one.origin, one.state, 0, $12::bigint,
    CASE WHEN one.state <> 'waiting' THEN $12::bigint END,
    greatest($12::bigint, (
        SELECT last.due_at_ms FROM ringback_inbox AS last
        WHERE last.source = one.source AND last.order_key = one.order_key
            AND last.state = 'waiting'
        ORDER BY last.id DESC LIMIT 1
    ))
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::bytea[], $7::bytea[],
    $8::text[], $9::text[], $10::text[], $11::text[]
) WITH ORDINALITY AS one (
    source, dedupe_id, type, timestamp_s, is_id_signed, body, decoded, request, order_key, origin,
    state, place
)
ORDER BY place
ON CONFLICT (source, dedupe_id) DO NOTHING
RETURNING source, dedupe_id;
