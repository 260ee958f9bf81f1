-- Which of some ids of a source are here.
SELECT dedupe_id FROM ringback_inbox
WHERE source = ?1 AND dedupe_id IN (SELECT value FROM json_each(?2));
