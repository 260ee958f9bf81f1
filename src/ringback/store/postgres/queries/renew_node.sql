-- Prolong a lease that stands, and see who else is there; nothing if it does not stand.
WITH renewed AS (
    UPDATE node SET until_ms = server_ms() + $3, skew_ms = $4
    WHERE epoch = $1 AND id = $2 AND NOT is_gone
    RETURNING epoch
)
SELECT
    max(now_ms),
    count(*) FILTER (WHERE is_alive),
    coalesce(array_agg(epoch ORDER BY epoch) FILTER (WHERE is_alive AND role <> 'api'), '{}'),
    coalesce(min(epoch) FILTER (WHERE role <> 'api') = $1, false),
    bool_or(NOT is_alive),
    min(until_ms - now_ms) FILTER (WHERE is_alive AND epoch <> $1)
FROM (
    SELECT epoch, role, until_ms, now_ms, until_ms > now_ms OR epoch = $1 AS is_alive
    FROM node, (SELECT server_ms() AS now_ms) AS clock
    WHERE NOT is_gone
) AS one
HAVING EXISTS (SELECT 1 FROM renewed)
