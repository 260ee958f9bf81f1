-- When the next send of each rate is due. Nobody else takes from them until the end of the
-- transaction.
INSERT INTO rate (id, next_us)
SELECT id, 0 FROM unnest($1::text[]) AS id ORDER BY id
ON CONFLICT (id) DO UPDATE SET next_us = rate.next_us
RETURNING id, next_us, server_us()
