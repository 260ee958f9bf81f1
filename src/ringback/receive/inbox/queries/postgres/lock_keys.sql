-- Insertions of one key take turns, so that the order of ids is the order of commits; and whoever
-- ends an event of the key sees what was inserted behind it. Sorted, so that no two wait in a ring.
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended(key, 1) AS number FROM unnest($1::text[]) AS key
    ORDER BY number
) AS numbers;
