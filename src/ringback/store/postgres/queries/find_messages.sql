-- The messages, of the (application, id) pairs given, that are there.
SELECT m.id
FROM unnest($1::text[], $2::text[]) AS wanted (app_id, id)
JOIN message AS m ON m.app_id = wanted.app_id AND m.id = wanted.id
WHERE m.id >= $3 AND m.id <= $4
