-- Which deliveries of these messages were attempted for one of these batches, of the attempts from an
-- id on: none is older than the first of the messages.
SELECT batch_id, msg_id, endpoint_id, trigger
FROM attempt
WHERE msg_id = ANY ($1::text[]) AND batch_id = ANY ($2::bigint[]) AND id >= $3
