-- Which of some ids of a source are here.
SELECT dedupe_id FROM ringback_inbox
WHERE source = $1::text AND dedupe_id = ANY ($2::text[]);
