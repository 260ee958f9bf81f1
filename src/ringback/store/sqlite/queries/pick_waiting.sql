-- What may be claimed now, as one row: does the lease stand; the application version of each
-- endpoint that may be sent to; the oldest due rows of those. Each round of the recursion takes the
-- next row of every lane by its index, so the cost depends on the rows taken, not on those waiting.
WITH RECURSIVE
take (endpoint_id, count, version) AS MATERIALIZED (
    SELECT endpoint.id, wanted.value ->> 1, application.version
    FROM json_each(:takes) AS wanted
    CROSS JOIN endpoint ON endpoint.id = wanted.value ->> 0
    CROSS JOIN application ON application.id = endpoint.app_id
    WHERE endpoint.is_disabled = 0 AND endpoint.is_deleted = 0 AND application.is_deleted = 0
),
picked (id, rest) AS (
    SELECT
        (
            SELECT w.id FROM waiting AS w
            WHERE w.endpoint_id = take.endpoint_id AND w.due_at_ms <= :now_ms
            ORDER BY w.due_at_ms, w.id
            LIMIT 1
        ),
        take.count - 1
    FROM take
    WHERE take.count > 0
    UNION ALL
    SELECT
        coalesce(
            (
                SELECT n.id FROM waiting AS n
                WHERE n.endpoint_id = w.endpoint_id AND n.due_at_ms = w.due_at_ms AND n.id > w.id
                ORDER BY n.id
                LIMIT 1
            ),
            (
                SELECT n.id FROM waiting AS n
                WHERE n.endpoint_id = w.endpoint_id
                  AND n.due_at_ms > w.due_at_ms AND n.due_at_ms <= :now_ms
                ORDER BY n.due_at_ms, n.id
                LIMIT 1
            )
        ),
        picked.rest - 1
    FROM picked
    CROSS JOIN waiting AS w ON w.id = picked.id
    WHERE picked.rest > 0
)
SELECT
    EXISTS (SELECT 1 FROM node WHERE epoch = :epoch AND id = :node_id AND is_gone = 0),
    (SELECT json_group_object(endpoint_id, version) FROM take),
    (
        SELECT json_group_array(
            json_array(w.id, w.app_id, w.msg_id, w.endpoint_id, w.attempts_made, w.trigger)
        )
        FROM picked
        CROSS JOIN waiting AS w ON w.id = picked.id
    )
