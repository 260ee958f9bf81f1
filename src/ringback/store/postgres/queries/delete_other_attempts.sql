-- Delete old attempts that are outside of every partition; a bounded number.
DELETE FROM attempt_other
WHERE (endpoint_id, id) IN (
    SELECT endpoint_id, id FROM attempt_other WHERE id < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
