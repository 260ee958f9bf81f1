-- Which deliveries of these messages were attempted for one of these batches.
SELECT batch_id, msg_id, endpoint_id, trigger
FROM attempt
WHERE msg_id IN (SELECT value FROM json_each(?)) AND batch_id IN (SELECT value FROM json_each(?))
