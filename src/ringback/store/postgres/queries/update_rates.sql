-- Sends were taken from rates.
UPDATE rate SET next_us = taken.next_us
FROM unnest($1::text[], $2::bigint[]) AS taken (id, next_us)
WHERE rate.id = taken.id
