-- Which deliveries of these messages were attempted, and for which batch.
SELECT batch_id, msg_id, endpoint_id
FROM attempt
WHERE msg_id IN (SELECT value FROM json_each(?))
